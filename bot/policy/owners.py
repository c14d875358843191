"""CODEOWNERS as the forges read it: whom the touched paths ask for."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase
from typing import Final

import msgspec

from bot.model.errors import GatewrightError

LIMIT: Final = 3 * 1024 * 1024  # bytes: beyond it GitHub reads no such file
_HEADING: Final = re.compile(r"(\^?)\[([^\]]+)\](?:\[([^\]]*)\])?(?:\s+(\S.*))?")
_WORD: Final = re.compile(r"(?:\\.|[^\s\\])+|\\")
_ESCAPED: Final = re.compile(r"\\(.)")


class OwnerGroup(msgspec.Struct, frozen=True):
    """Owners of whom `needed` different people have to say yes.

    Owners stand as in the file: `@login`, `@org/team`, `@@role`, an e-mail address, or a word that is none of these.
    """

    owners: tuple[str, ...]
    needed: int = 1


class _Rule(msgspec.Struct, frozen=True):
    """One line: `parts` is its pattern, cut at slashes; a path below what it matches is meant where `is_deep`."""

    parts: tuple[str, ...]
    is_folder: bool
    is_deep: bool
    owners: tuple[str, ...]
    is_exclusion: bool = False

    def matches(self, path: tuple[str, ...]) -> bool:
        reached = {0}
        for part in self.parts:
            if part == "**":
                reached = set(range(min(reached), len(path) + 1)) if reached else reached
            else:
                reached = {at + 1 for at in reached if at < len(path) and fnmatchcase(path[at], part)}
        if self.parts[-1] == "**" or self.is_folder:
            return any(at < len(path) for at in reached)
        return bool(reached) if self.is_deep else len(path) in reached


class _Section:
    """Lines that are matched by themselves."""

    def __init__(self) -> None:
        self.rules: list[_Rule] = []
        self.is_optional = True
        self.needed = 1
        self.owners: tuple[str, ...] = ()

    def owners_of(self, path: tuple[str, ...]) -> tuple[str, ...]:
        found = [rule for rule in self.rules if rule.matches(path)]
        return () if not found or any(rule.is_exclusion for rule in found) else found[-1].owners


def owner_groups(text: str, paths: Iterable[str], *, sections: bool) -> tuple[OwnerGroup, ...]:
    """List the different groups of owners that paths ask for, none for paths without; some forges know `sections`.

    Raises GatewrightError for a file that is too large to be one.
    """
    if len(text.encode("utf-8", "replace")) > LIMIT:
        raise GatewrightError(
            "GW-POLICY-OWNERS", "CODEOWNERS is too large", why=f"more than {LIMIT >> 20} MiB",
            fix="put patterns together in it",
        )  # fmt: skip
    found: dict[tuple[str, ...], OwnerGroup] = {}
    required = [section for section in _read(text, sections=sections) if not section.is_optional]
    for path in paths:
        cut = tuple(path.strip("/").split("/"))
        for section in required:
            if owners := section.owners_of(cut):
                known = tuple(sorted({owner.casefold() for owner in owners}))
                before = found.get(known, OwnerGroup(owners, 0))
                found[known] = OwnerGroup(before.owners, max(before.needed, section.needed))
    return tuple(found.values())


def _read(text: str, *, sections: bool) -> list[_Section]:
    unnamed = _Section()
    unnamed.is_optional = False
    known = {"": unnamed}
    section = unnamed
    defaults: tuple[str, ...] = ()
    for line in (each.strip() for each in text.removeprefix("\ufeff").split("\n")):
        if not line or line.startswith("#"):
            continue
        heading = _HEADING.fullmatch(line) if sections else None
        if heading:
            section = known.setdefault(heading[2].strip().casefold(), _Section())
            defaults = _head(section, heading)
        elif rule := _rule(line, defaults, is_sectioned=sections):
            section.rules.append(rule)
    return list(known.values())


def _head(section: _Section, heading: re.Match[str]) -> tuple[str, ...]:
    """Take up a heading; of several with one name the strictest holds."""
    mark, _, needed, owners = heading.groups()
    section.is_optional = section.is_optional and bool(mark)
    if needed and needed.isascii() and needed.isdigit():
        section.needed = max(section.needed, min(int(needed[:4]), 1_000))
    section.owners = tuple(_owners(_WORD.findall(owners or ""))) or section.owners
    return section.owners


def _rule(line: str, defaults: tuple[str, ...], *, is_sectioned: bool) -> _Rule | None:
    pattern, *words = _WORD.findall(line)
    is_exclusion = pattern.startswith("!")
    if is_exclusion and not is_sectioned:
        return None  # GitHub knows none, and reading one would ask fewer people
    pattern = pattern.removeprefix("!")
    parts = tuple(_part(each) for each in pattern.strip("/").split("/"))
    if parts == ("",):
        return None
    is_anchored = pattern.startswith("/") if is_sectioned else "/" in pattern.rstrip("/")
    return _Rule(
        parts=parts if is_anchored else ("**", *parts),
        is_folder=pattern.endswith("/"),
        is_deep=not is_sectioned and not (is_anchored and parts[-1] == "*"),
        owners=tuple(_owners(words)) or defaults,
        is_exclusion=is_exclusion,
    )


def _part(text: str) -> str:
    """Write what a backslash makes plain as fnmatch does, which knows none."""
    return _ESCAPED.sub(lambda found: f"[{found[1]}]" if found[1] in "*?[" else found[1], text)


def _owners(words: list[str]) -> Iterator[str]:
    """Name the owners up to a comment; words that are none count where nothing else does, so that somebody is asked."""
    upto = next((at for at, word in enumerate(words) if word.startswith("#")), len(words))
    valid = [word for word in words[:upto] if "@" in word]
    yield from valid or words[:upto]
