"""Exact replacement of one place in a text, and what to say when the place is not there; pure."""

from __future__ import annotations

from difflib import get_close_matches
from typing import Final, NamedTuple

from runners.loop.errors import ToolFault

MAX_LINES: Final = 5_000  # beyond it no near miss is looked for
_SHOWN: Final = 8


class Edited(NamedTuple):
    """The new text, how many places changed, and the line of the first."""

    text: str
    places: int
    line: int


def replace(text: str, old: str, new: str, *, every: bool = False) -> Edited:
    """Replace `old`, which must be there once unless `every`; a file with CRLF also takes LF, as models see no CR."""
    if not old:
        raise ToolFault("old must not be empty; use write to make a new file.")
    if old == new:
        raise ToolFault("old and new are the same.")
    if old not in text and "\r\n" in text:
        old, new = _crlf(old), _crlf(new)
    count = text.count(old)
    if count == 0:
        raise ToolFault(f"old was not found; it must match to the letter, blanks included.{near_miss(text, old)}")
    if count > 1 and not every:
        where = ", ".join(str(line) for line in _lines_of(text, old))
        raise ToolFault(f"old is there {count} times (lines {where}); add lines around it, or set all to true.")
    return Edited(text.replace(old, new), count, _line(text, text.index(old)))


def near_miss(text: str, old: str) -> str:
    """Say which part of the text comes nearest to what was not found; empty where nothing does."""
    lines = text.split("\n")
    wanted = [line.strip() for line in old.strip("\r\n").split("\n")]
    if not wanted or len(lines) > MAX_LINES:
        return ""
    bare = [line.strip() for line in lines]
    for start in range(len(bare) - len(wanted) + 1):
        if bare[start : start + len(wanted)] == wanted:
            return _quoted("The same words with other blanks are", lines, start, len(wanted))
    first = max(wanted, key=len)
    close = get_close_matches(first, bare, n=1, cutoff=0.7)
    return _quoted("The nearest line is", lines, bare.index(close[0]), 1) if close else ""


def _quoted(what: str, lines: list[str], start: int, count: int) -> str:
    shown = "\n".join(lines[start : start + min(count, _SHOWN)])
    return f" {what} at line {start + 1}:\n{shown}"


def _lines_of(text: str, old: str) -> list[int]:
    found: list[int] = []
    at = text.find(old)
    while at >= 0 and len(found) < _SHOWN:
        found.append(_line(text, at))
        at = text.find(old, at + len(old))
    return found


def _line(text: str, at: int) -> int:
    return text.count("\n", 0, at) + 1


def _crlf(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\n", "\r\n")
