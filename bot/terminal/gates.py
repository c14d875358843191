"""Decide at a gate in the terminal; the answer is the comment a person would write on a forge."""

from __future__ import annotations

import os
import shlex
import subprocess
import tempfile
from pathlib import Path
from typing import Final, Protocol

from bot.model.approval import SHOWN
from bot.model.errors import GatewrightError
from bot.model.task import Gate, Task

CHOICES: Final = "(v)iew  (a)pprove  (r)evise  (e)dit  re(j)ect"
CHANGE_CHOICES: Final = "(v)iew diff  (a)pprove  (f)ix  re(j)ect"


class Decider(Protocol):
    """Whoever decides; None means that nobody can be asked now."""

    is_person: bool

    def decide(self, task: Task, gate: Gate, text: str) -> str | None:
        """Answer with a command, or None to stop and wait."""


def approve(task: Task, gate: Gate) -> str:
    """Write the approval of exactly what was shown."""
    asked = task.asked(gate)
    digest = asked.digest[:SHOWN] if asked else ""
    return f"/gatewright approve {digest}".rstrip()


class Itself:
    """Approve everything by itself: the throw-away repository of `demo`, or `--yes`."""

    is_person = False

    def decide(self, task: Task, gate: Gate, text: str) -> str | None:  # noqa: ARG002 - nothing is read
        """Approve."""
        return approve(task, gate)


class Nobody:
    """Approve only what was named beforehand: there is no terminal to ask at."""

    is_person = False

    def __init__(self, approved: dict[str, str]) -> None:
        self._approved = approved

    def decide(self, task: Task, gate: Gate, text: str) -> str | None:  # noqa: ARG002 - the digest is the text
        """Approve the digest that was given for this gate, if it is the one in force."""
        wanted = self._approved.pop(gate.value, "").lower()
        asked = task.asked(gate)
        if wanted and asked and asked.digest.startswith(wanted) and len(wanted) >= SHOWN:
            return approve(task, gate)
        return None


class Person:
    """Ask at the terminal; Enter alone repeats the question."""

    is_person = True

    def __init__(self, screen: Asking) -> None:
        self._screen = screen

    def decide(self, task: Task, gate: Gate, text: str) -> str | None:
        """Ask until there is an answer; None at the end of input."""
        while True:
            letter = self._screen.ask(CHANGE_CHOICES if gate is Gate.CHANGE else CHOICES)
            if letter is None:
                return None
            answer = self._answer(letter.strip().lower()[:1], task, gate, text)
            if answer is not None:
                return answer

    def _answer(self, letter: str, task: Task, gate: Gate, text: str) -> str | None:
        match letter, gate:
            case "v", _:
                self._screen.show(text, is_diff=gate is Gate.CHANGE)
            case "a", _:
                return approve(task, gate)
            case "j", _:
                return f"/gatewright reject {self._screen.ask('why? ') or ''}".rstrip()
            case "f", Gate.CHANGE:
                return self._with_words("fix", "what is to be mended? ")
            case "r", Gate.SPEC | Gate.PLAN:
                return self._with_words("revise", "what should change? ")
            case "e", Gate.SPEC | Gate.PLAN:
                return edited(text)
        return None

    def _with_words(self, verb: str, question: str) -> str | None:
        words = (self._screen.ask(question) or "").strip()
        return f"/gatewright {verb} {words}" if words else None


class Asking(Protocol):
    """The part of a screen that a person answers at."""

    def ask(self, question: str) -> str | None:
        """Ask one question; None at the end of input."""

    def show(self, text: str, *, is_diff: bool = False) -> None:
        """Show a long text."""


def edited(text: str) -> str | None:
    """Let the person edit a text in $EDITOR; None where nothing was changed."""
    editor = os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi"
    with tempfile.TemporaryDirectory(prefix="gatewright-edit-") as folder:
        file = Path(folder) / "draft.md"
        file.write_text(text, encoding="utf-8")
        try:
            subprocess.run([*shlex.split(editor), str(file)], check=True)
        except (OSError, subprocess.CalledProcessError) as error:
            raise GatewrightError(
                "GW-EDITOR", f"the editor '{editor}' did not end well", why=str(error), fix="set EDITOR and try again"
            ) from None
        new = file.read_text(encoding="utf-8")
    if new == text:
        return None
    fence = "`" * max(3, longest_ticks(new) + 1)
    return f"/gatewright edit\n{fence}markdown\n{new.rstrip()}\n{fence}"


def longest_ticks(text: str) -> int:
    """Count the longest run of backticks, so that a fence around the text can be longer."""
    best = run = 0
    for letter in text:
        run = run + 1 if letter == "`" else 0
        best = max(best, run)
    return best
