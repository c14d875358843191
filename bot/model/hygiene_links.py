"""Brackets, targets and titles of Markdown links, found in linear time."""

from __future__ import annotations

import re
from typing import Final, NamedTuple

DEEPEST: Final = 32  # parentheses within parentheses of a target, as in CommonMark
_BLANK: Final = re.compile(r"[ \t]*\n?[ \t]*")
_POINTED: Final = re.compile(r"<((?:[^<>\n\\]|\\.)*+)>")
_TITLE: Final = re.compile(r"""("(?:[^"\\]|\\.)*+"|'(?:[^'\\]|\\.)*+'|\((?:[^()\\]|\\.)*+\))""", re.DOTALL)
LABEL: Final = re.compile(r"\[((?:[^\[\]\\]|\\.){0,999}+)\]", re.DOTALL)


class Bracket(NamedTuple):
    """An open bracket: `start` is where it begins, `inner` what follows it."""

    start: int
    inner: int
    is_image: bool
    is_simple: bool = True  # no brackets inside: the words can be a label


class Brackets:
    """Which bracket closes which."""

    def __init__(self) -> None:
        self._open: list[Bracket] = []

    def open(self, start: int, inner: int, *, is_image: bool) -> None:
        """Note `[` or `![`."""
        self._open.append(Bracket(start, inner, is_image))

    def close(self) -> Bracket | None:
        """Answer a `]` with its partner."""
        if not self._open:
            return None
        found = self._open.pop()
        if self._open:
            self._open[-1] = self._open[-1]._replace(is_simple=False)
        return found


class Target(NamedTuple):
    """What stands in the parentheses of a link: from `start` to `end`, parentheses included."""

    start: int
    end: int
    address: str
    title: str


def inline_target(text: str, start: int, end: int) -> Target | None:
    """Read `(target "title")`, None where there is none."""
    if text[start : start + 1] != "(" or start >= end:
        return None
    position = _over(text, start + 1, end)
    pointed = _POINTED.match(text, position, end)
    if pointed is None and text.startswith("<", position):
        return None
    stop = pointed.end() if pointed else _bare(text, position, end)
    address = pointed[1] if pointed else text[position:stop]
    position = _over(text, stop, end)
    title = _TITLE.match(text, position, end) if position > stop else None
    if title:
        position = _over(text, title.end(), end)
    if text[position : position + 1] != ")" or position >= end:
        return None
    return Target(start, position + 1, address, title[1][1:-1] if title else "")


def _over(text: str, position: int, end: int) -> int:
    blank = _BLANK.match(text, position, end)
    return blank.end() if blank else position


def _bare(text: str, position: int, end: int) -> int:
    depth = 0
    while position < end and text[position] > " ":
        if text[position] == "\\":
            position += 1
        elif text[position] == "(":
            depth += 1
        elif text[position] == ")":
            depth -= 1
        if depth < 0 or depth > DEEPEST:
            break
        position += 1
    return min(position, end)
