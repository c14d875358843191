"""Noticing that a model goes in circles; pure."""

from __future__ import annotations

from collections import deque
from typing import Final

from runners.loop.protocol import Call, Reply

NUDGE_AT: Final = 4
STOP_AT: Final = 6
WINDOW: Final = 24  # calls back; far enough for a circle of three calls to show
TELLING: Final = 200  # characters; a shorter result says little, and different calls may well have it in common
READS: Final = 10  # turns that only read, without a change between them
NUDGES: Final = 3  # in one run, each after as many reads again


class Repetition:
    """The latest calls of a run; the same call with the same outcome counts, and so does the same call in a row."""

    def __init__(self) -> None:
        self._latest: deque[tuple[int, int]] = deque(maxlen=WINDOW)

    def count(self, call: Call, reply: Reply, *, reads: bool = False) -> int:
        """Add a call and tell how often it has now been made without anything new.

        What only reads learns nothing new from a long result it has seen, however the call was worded this time.
        """
        worded = "" if reads and len(reply.text) >= TELLING else call.arguments
        key = (hash((call.name, call.arguments)), hash((call.name, worded, reply.text)))
        self._latest.append(key)
        same = sum(outcome == key[1] for _, outcome in self._latest)
        return max(same, self._in_a_row(key[0]))

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


class Idleness:
    """How long a model that is to write has only read."""

    def __init__(self) -> None:
        self._turns = 0
        self._nudges = 0

    def nudge(self, *, only_reads: bool, changed: bool) -> int:
        """Add a turn; tell after how many that only read the model should hear of it, 0 where it need not."""
        self._turns = 0 if changed else self._turns + only_reads
        if not only_reads or self._nudges >= NUDGES or self._turns < READS * (self._nudges + 1):
            return 0
        self._nudges += 1
        return self._turns
