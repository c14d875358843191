"""Edits of one text, gathered in any order and applied at once; what lies in something that is cut goes with it."""

from __future__ import annotations

from typing import NamedTuple

from bot.model.hygiene_characters import Find


class Edit(NamedTuple):
    """Put `text` in place of what stands between `start` and `end`."""

    start: int
    end: int
    text: str
    finds: tuple[Find, ...]


class Edits:
    """What is to be changed, and what was found by it."""

    def __init__(self) -> None:
        self._edits: list[Edit] = []

    def put(self, start: int, end: int, text: str, *finds: Find) -> None:
        """Replace a stretch."""
        self._edits.append(Edit(start, end, text, finds))

    def cut(self, start: int, end: int, find: Find) -> None:
        """Take out a stretch."""
        self._edits.append(Edit(start, end, "", (find,)))

    def applied(self, text: str) -> tuple[str, list[Find]]:
        """Return the changed text and what was found; what begins inside a cut is cut to its own end."""
        kept: list[str] = []
        finds: list[Find] = []
        position = 0
        for edit in sorted(self._edits, key=lambda one: (one.start, -one.end)):
            if edit.start < position:
                position = max(position, edit.end)
                continue
            kept += [text[position : edit.start], edit.text]
            position = edit.end
            finds += edit.finds
        return "".join([*kept, text[position:]]), finds
