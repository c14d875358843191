"""What a person sees: colour and Markdown on a terminal, one line an event elsewhere; all of it talk, on stderr."""

from __future__ import annotations

import sys
import time
from typing import Final

from rich.console import Console
from rich.markdown import Markdown
from rich.syntax import Syntax
from rich.text import Text

MARKS: Final = {"ok": ("✓", "green"), "ask": ("?", "yellow"), "fail": ("✗", "red"), "note": (" ", "")}


class Screen:
    """One terminal, or one pipe."""

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console(stderr=True, highlight=False)
        self.is_live = self.console.is_terminal and sys.stdin.isatty()

    def say(self, words: str = "") -> None:
        """Print one plain line."""
        self.console.print(Text(words), soft_wrap=True)

    def line(self, mark: str, what: str, words: str, right: str = "") -> None:
        """Print what happened: a mark, one word, and the rest."""
        if not self.is_live:
            stamp = time.strftime("%H:%M:%S")
            self.say(f"{stamp} {what:<8} {words}{'  ' + right if right else ''}")
            return
        sign, colour = MARKS[mark]
        text = Text.assemble((sign, colour), " ", (f"{what:<8}", "bold"), " ", f"{words:<50}", (right, "dim"))
        self.console.print(text, soft_wrap=True)

    def show(self, text: str, *, is_diff: bool = False) -> None:
        """Show a spec or plan as Markdown, a change as a coloured diff; plain text into a pipe."""
        if not self.console.is_terminal:
            self.say(text)
        elif is_diff:
            self.console.print(Syntax(text, "diff", theme="ansi_dark", background_color="default", word_wrap=True))
        else:
            self.console.print(Markdown(text))

    def ask(self, question: str) -> str | None:
        """Ask one question; None at the end of input."""
        self.console.print(Text(f"           {question} ", "yellow"), end="")
        try:
            return input()
        except EOFError:
            return None
