"""Does the wall clock go on as time does? Whoever sets it is seen, and the journal says so."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

TOLERANCE_MS: Final = 2_000  # what two clocks may part by, be it by slewing or between replicas


def now_ms() -> int:
    """Read the wall clock in Unix milliseconds."""
    return time.time_ns() // 1_000_000


def steady_ms() -> int:
    """Read the clock that nobody can set (ms since the machine's start); it goes on while the machine sleeps."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1_000_000


class Watch:
    """How far the wall clock stood from the steady one when this process last looked, journal by journal."""

    def __init__(self, steady: Callable[[], int]) -> None:
        self._steady = steady
        self._apart: dict[str, int] = {}

    def begin(self, task: str, now_ms: int) -> None:
        """Look at a journal's clocks for the first time; what was before is known to nobody here."""
        self._apart.setdefault(task, now_ms - self._steady())

    def jump(self, task: str, now_ms: int, last_ms: int) -> int:
        """Measure by how much the clock was set since the last look (ms), 0 within the tolerance.

        A clock behind the last record's time was set by somebody, if only in another process.
        """
        apart = now_ms - self._steady()
        delta = apart - self._apart.setdefault(task, apart)
        if abs(delta) <= TOLERANCE_MS:
            delta = min(now_ms - last_ms, 0)
        self._apart[task] = apart
        return delta if abs(delta) > TOLERANCE_MS else 0

    def forget(self, task: str) -> None:
        """Drop what was seen, because the task has ended."""
        self._apart.pop(task, None)
