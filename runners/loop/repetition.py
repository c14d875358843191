"""Noticing that a model goes in circles; pure."""

from __future__ import annotations

from collections import deque
from typing import Final

from runners.loop.protocol import Call, Reply

NUDGE_AT: Final = 4
STOP_AT: Final = 6
WINDOW: Final = 24  # calls back; far enough for a circle of three calls to show


class Repetition:
    """The latest calls of a run; the same call with the same outcome counts, and so does the same call in a row."""

    def __init__(self) -> None:
        self._latest: deque[tuple[int, int]] = deque(maxlen=WINDOW)

    def count(self, call: Call, reply: Reply) -> int:
        """Add a call and tell how often it has now been made without anything new."""
        key = (hash((call.name, call.arguments)), hash(reply.text))
        self._latest.append(key)
        return max(self._latest.count(key), self._in_a_row(key[0]))

    def forget(self) -> None:
        """Start anew after the worktree has changed: the same call may now have another outcome."""
        self._latest.clear()

    def _in_a_row(self, call: int) -> int:
        row = 0
        for latest, _ in reversed(self._latest):
            if latest != call:
                break
            row += 1
        return row
