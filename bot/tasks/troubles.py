"""What goes wrong from time to time and mends itself: logged when it begins, when it changes, and when it is over."""

from __future__ import annotations

from typing import Any


class Troubles:
    """Remembers what was logged, by whose trouble it is."""

    def __init__(self, log: Any) -> None:
        self._log = log
        self._said: dict[str, str] = {}

    def say(self, whose: str, error: Exception) -> None:
        """Log a trouble, unless it is the one that was logged."""
        code, why = getattr(error, "code", ""), getattr(error, "why", "") or str(error)
        if self._said.get(whose) != f"{code} {why}":
            self._said[whose] = f"{code} {why}"
            what = getattr(error, "what", "") or type(error).__name__
            self._log.warning("log.trouble", whose=whose, code=code, what=what, why=why)

    def over(self, whose: str) -> None:
        """Log that it is over, where there was any."""
        if self._said.pop(whose, None):
            self._log.info("log.well", whose=whose)
