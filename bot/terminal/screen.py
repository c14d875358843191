"""What a person sees: colour and Markdown on a terminal, one line an event elsewhere; all of it talk, on stderr."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import termios
import textwrap
import time
import unicodedata
from typing import Any, Final, Literal

from rich.console import Console
from rich.markdown import Markdown
from rich.syntax import Syntax
from rich.text import Text

from bot.terminal.status import Status

MARKS: Final = {"ok": ("✓", "green"), "ask": ("?", "yellow"), "fail": ("✗", "red"), "note": (" ", "")}
WIDTH: Final = 80
INDENT: Final = 11  # what follows a mark and one word
ANSWER_MAX: Final = 65_536  # bytes of one answer, which is what forges take

Kind = Literal["markdown", "diff"]


def safe(text: str) -> str:
    """Take from foreign text what could steer a terminal or turn the order of its letters around."""
    return "".join(c if c in "\n\t" or c.isprintable() or unicodedata.category(c) == "Zs" else "\ufffd" for c in text)


def span(ms: int) -> str:
    """Write a time span: `0.4 s`, `2 m 04 s`."""
    if ms < 60_000:
        return f"{ms / 1000:.1f} s"
    minutes, seconds = divmod(ms // 1000, 60)
    return f"{minutes} m {seconds:02} s"


class Screen:
    """One terminal, or one pipe."""

    def __init__(self, console: Console | None = None, *, is_live: bool | None = None) -> None:
        self.console = console or Console(stderr=True, highlight=False)
        self.is_live = _is_tty(sys.stdin) and _is_tty(sys.stderr) if is_live is None else is_live
        self.status = Status(self.console, is_shown=self.is_live and not self.console.is_dumb_terminal)
        self._typed = b""

    @property
    def width(self) -> int:
        """Columns that lines are set to."""
        return min(WIDTH, self.console.width) if self.is_live else WIDTH

    def say(self, words: str = "") -> None:
        """Print lines as they are: nothing is broken, so that commands can be pasted."""
        self.console.print(Text(safe(words)), soft_wrap=True)

    def tell(self, words: str, indent: str = "") -> None:
        """Print a paragraph, broken at the edge."""
        self.say(_wrap(words, self.width, indent, indent))

    def line(self, mark: str, what: str, words: str, right: str = "") -> None:
        """Print what happened: a mark, one word, the rest, and figures at the right edge."""
        if not self.is_live:
            self.say(f"{time.strftime('%H:%M:%S')} {what:<8} {words}{'  ' + right if right else ''}")
            return
        sign, colour = MARKS[mark]
        indent = " " * INDENT
        room = self.width - (len(right) + 2 if right else 0)
        first, *rest = _wrap(safe(words), room, indent, indent).split("\n")
        head = Text.assemble((sign, colour), " ", (f"{what:<8}", "bold"), " ", first[INDENT:])
        if right:
            head.append(right.rjust(self.width - len(head)), "dim")
        self.console.print(head, soft_wrap=True)
        for each in rest:
            self.say(each)

    def detail(self, words: str) -> None:
        """Print what belongs below a line."""
        self.tell(words, " " * INDENT)

    def show(self, text: str, kind: Kind = "markdown") -> None:
        """Show a document as Markdown or as a coloured diff; plain text into a pipe."""
        text = safe(text)
        if not self.is_live:
            self.say(text.rstrip() + "\n")
        elif kind == "diff":
            self.console.print(Syntax(text, "diff", theme="ansi_dark", background_color="default", word_wrap=True))
        else:
            # Links are written out: what a link says and where it leads may differ.
            self.console.print(Markdown(text, hyperlinks=False), width=self.width)
            self.say()

    async def ask(self, question: str) -> str | None:
        """Ask one question; None at the end of input. What was typed before the question stood there does not count."""
        self.status.clear()
        self._typed = b""
        with contextlib.suppress(termios.error):
            termios.tcflush(sys.stdin.fileno(), termios.TCIFLUSH)
        self.console.print(Text(f"{' ' * INDENT}{question} ", "yellow"), end="", soft_wrap=True)
        line = await self._read_line()
        if line is None:
            self.say()
        return line

    async def _read_line(self) -> str | None:
        """Read a line without a thread: one that waits for a key could not be ended by Ctrl-C."""
        loop, source = asyncio.get_running_loop(), sys.stdin.fileno()
        arrived = asyncio.Event()
        loop.add_reader(source, arrived.set)
        try:
            while b"\n" not in self._typed and len(self._typed) < ANSWER_MAX:
                await arrived.wait()
                arrived.clear()
                if not (chunk := os.read(source, 4096)):
                    return None
                self._typed += chunk
        finally:
            loop.remove_reader(source)
        line, _, self._typed = self._typed.partition(b"\n")
        return line.decode("utf-8", "replace")


def _wrap(words: str, width: int, first: str, rest: str) -> str:
    return "\n".join(
        textwrap.wrap(
            words, max(width, 2 * INDENT), initial_indent=first, subsequent_indent=rest, break_long_words=False,
            break_on_hyphens=False,
        )
    ) or first  # fmt: skip


def _is_tty(stream: Any) -> bool:
    return stream is not None and not stream.closed and bool(stream.isatty())
