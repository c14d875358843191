"""The last lines of a terminal while something runs: what, since when, and what the agent did last."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Final

from rich.console import Console, ConsoleOptions, RenderResult
from rich.live import Live
from rich.spinner import Spinner
from rich.text import Text

WIDTH: Final = 80
INDENT: Final = 11


class Status:
    """A region that follows the printed lines and goes away; shows nothing where there is no terminal."""

    def __init__(self, console: Console, *, is_shown: bool) -> None:
        self._console = console
        self._is_shown = is_shown
        self._live: Live | None = None
        self._spinner = Spinner("dots", style="yellow")
        self._what = self._words = ""
        self._since = 0.0
        self._deeds: Sequence[str] = ()

    def update(self, what: str, words: str, since: float, deeds: Sequence[str] = ()) -> None:
        """Show what runs since a wall-clock time in seconds, and the last deeds below it."""
        self._what, self._words, self._since, self._deeds = what, words, since, deeds
        if self._is_shown and self._live is None:
            self._live = Live(self, console=self._console, transient=True, refresh_per_second=10)
            self._live.start()

    def clear(self) -> None:
        """Take the region away."""
        live, self._live = self._live, None
        if live is not None:
            live.stop()

    def __rich_console__(self, console: Console, _: ConsoleOptions) -> RenderResult:
        """Draw the region; rich calls this from a thread of its own, ten times a second."""
        width = min(WIDTH, console.width)
        passed = int(max(time.time() - self._since, 0.0))
        right = f"{passed // 60} m {passed % 60:02} s" if passed >= 60 else f"{passed} s"
        frame = self._spinner.render(time.time())
        sign = frame if isinstance(frame, Text) else Text("*")
        words = _cut(self._words, width - INDENT - len(right) - 2)
        head = Text.assemble(sign, " ", (f"{self._what:<8}", "bold"), " ", words)
        head.append(right.rjust(width - len(head)), "dim")
        yield head
        for deed in self._deeds:
            yield Text(" " * INDENT + _cut(deed, width - INDENT), "dim")


def _cut(words: str, room: int) -> str:
    return words if len(words) <= room else words[: max(room - 1, 0)] + "…"
