"""Globs over repository paths: `*` and `?` within a name, `**` over any number of folders; case does not count."""

from __future__ import annotations

import fnmatch
import unicodedata
from collections.abc import Iterable


def matches(pattern: str, path: str) -> bool:
    """Tell whether a path fits; the work is bounded by the number of their parts, whatever the pattern."""
    parts = folded(path).split("/")
    places = {0}
    for piece in folded(pattern).strip("/").split("/"):
        if piece == "**":
            places = set(range(min(places), len(parts) + 1))
        else:
            places = {place + 1 for place in places if place < len(parts) and _fits(piece, parts[place])}
        if not places:
            return False
    return len(parts) in places


def any_matches(patterns: Iterable[str], path: str) -> str:
    """Name the first pattern that a path fits, empty where none does."""
    return next((pattern for pattern in patterns if matches(pattern, path)), "")


def folded(path: str) -> str:
    """Spell a path as systems see it that ignore case and Unicode form."""
    return unicodedata.normalize("NFC", path).casefold()


def _fits(piece: str, part: str) -> bool:
    return fnmatch.fnmatchcase(part, piece) if any(char in piece for char in "*?[") else part == piece
