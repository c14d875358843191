"""Decide at a gate in the terminal; the answer is the comment a person would write on a forge."""

from __future__ import annotations

import asyncio
import os
import shlex
import tempfile
from pathlib import Path
from typing import Final, Protocol

from bot.model.approval import SHOWN, matches
from bot.model.errors import GatewrightError
from bot.model.state import Gate
from bot.model.task import Task
from bot.terminal.running import deaf
from bot.terminal.screen import Kind

CHOICES: Final = {"v": "(v)iew", "a": "(a)pprove", "r": "(r)evise", "e": "(e)dit", "j": "re(j)ect"}
SCOPE_CHOICES: Final = {"v": "(v)iew", "a": "(a)pprove", "f": "(f)ix", "r": "(r)evise plan", "j": "re(j)ect"}
CHANGE_CHOICES: Final = {"v": "(v)iew diff", "a": "(a)pprove", "f": "(f)ix", "j": "re(j)ect"}
WORDS: Final = {
    "v": "v", "view": "v", "view diff": "v", "a": "a", "approve": "a", "r": "r", "revise": "r", "e": "e", "edit": "e",
    "revise plan": "r", "j": "j", "reject": "j", "f": "f", "fix": "f",
}  # fmt: skip
NEEDS_MODEL: Final = frozenset("ref")  # answers after which something new has to be written
ONE_COURSE: Final = (
    "Recorded answers know one course only: they cannot write anything new. With a model of yours this works: "
    "gatewright demo --model MODEL. Here you can view, approve or reject."
)


class Decider(Protocol):
    """Whoever decides; None means that nobody can be asked now."""

    name: str  # as in `approved by ...`
    is_person: bool

    async def decide(self, task: Task, gate: Gate, text: str) -> str | None:
        """Answer with a command, or None to stop and wait."""


class Asking(Protocol):
    """The part of a screen that a person answers at."""

    async def ask(self, question: str) -> str | None:
        """Ask one question; None at the end of input."""

    def show(self, text: str, kind: Kind = "markdown") -> None:
        """Show a long text."""

    def detail(self, words: str) -> None:
        """Say something below the question."""


def approve(task: Task, gate: Gate) -> str:
    """Write the approval of exactly what was shown."""
    asked = task.asked(gate)
    digest = asked.digest[:SHOWN] if asked else ""
    return f"/approve {'scope ' if gate is Gate.SCOPE else ''}{digest}".rstrip()


class Itself:
    """Approve everything by itself: the throw-away repository of `demo`, or `--yes`."""

    is_person = False

    def __init__(self, name: str = "itself (--yes)") -> None:
        self.name = name

    async def decide(self, task: Task, gate: Gate, text: str) -> str | None:  # noqa: ARG002 - nothing is read
        """Approve."""
        return approve(task, gate)


class Beforehand:
    """Approve the digests that were given beforehand; whatever else comes, ask `then`, if there is anybody."""

    is_person = False

    def __init__(self, approved: dict[str, str], then: Decider | None = None) -> None:
        self._approved = dict(approved)
        self._then = then
        self.name = "you" if then else "you, beforehand"

    async def decide(self, task: Task, gate: Gate, text: str) -> str | None:
        """Approve the digest that was given for this gate, if it is the one in force."""
        asked = task.asked(gate)
        if asked and matches(self._approved.get(gate.value, ""), asked.digest):
            return approve(task, gate)
        self.is_person = self._then is not None
        return await self._then.decide(task, gate, text) if self._then else None


class Person:
    """Ask at the terminal; nothing but a whole word or its letter counts, Enter alone repeats the question."""

    name = "you"
    is_person = True

    def __init__(self, screen: Asking, *, is_recorded: bool = False) -> None:
        self._screen = screen
        self._is_recorded = is_recorded
        self._drafts: dict[tuple[Gate, int], str] = {}

    async def decide(self, task: Task, gate: Gate, text: str) -> str | None:
        """Ask until there is an answer; None at the end of input."""
        choices = {Gate.CHANGE: CHANGE_CHOICES, Gate.SCOPE: SCOPE_CHOICES}.get(gate, CHOICES)
        offered = {k: v for k, v in choices.items() if not (self._is_recorded and k in NEEDS_MODEL)}
        while True:
            said = await self._screen.ask("  ".join(offered.values()))
            if said is None:
                return None
            letter = WORDS.get(said.strip().lower(), "")
            if letter in choices and letter not in offered:
                self._screen.detail(ONE_COURSE)
            elif letter in offered and (answer := await self._answer(letter, task, gate, text)) is not None:
                return answer

    async def _answer(self, letter: str, task: Task, gate: Gate, text: str) -> str | None:
        match letter:
            case "a":
                return approve(task, gate)
            case "v":
                self._screen.show(text, "diff" if gate is Gate.CHANGE else "markdown")
                return None
            case "e":
                return await self._edit(task, gate, text)
            case "r":
                return await self._with_words("revise", "what should change?")
            case "f":
                return await self._with_words("fix", "what is to be mended?")
        reason = await self._screen.ask("why? (Enter for no reason, Ctrl-D to go back)")
        return None if reason is None else f"/reject {reason.strip()}".rstrip()

    async def _with_words(self, verb: str, question: str) -> str | None:
        words = (await self._screen.ask(question) or "").strip()
        return f"/{verb} {words}" if words else None

    async def _edit(self, task: Task, gate: Gate, text: str) -> str | None:
        """Edit the draft; one that was refused is not lost, the editor opens with it again."""
        asked = task.asked(gate)
        key = (gate, asked.rev if asked else 0)
        try:
            new = await edited(self._drafts.get(key, text))
        except GatewrightError as error:
            self._screen.detail(f"{error.what}: {error.why}. {error.fix}")
            return None
        if new == text:
            self._screen.detail("Nothing was changed.")
            return None
        self._drafts[key] = new
        return fenced(new)


async def edited(text: str) -> str:
    """Let the person edit a text in $VISUAL or $EDITOR; raises GatewrightError where the editor does not end well."""
    editor = os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi"
    with tempfile.TemporaryDirectory(prefix="gatewright-edit-") as folder:
        file = Path(folder) / "draft.md"
        await asyncio.to_thread(file.write_text, text, encoding="utf-8")
        try:
            with deaf():
                process = await asyncio.create_subprocess_exec(*shlex.split(editor), str(file))
                code = await process.wait()
            new = await asyncio.to_thread(file.read_text, encoding="utf-8")
        except (OSError, ValueError) as error:
            raise _editor(editor, str(error)) from None
    if code:
        raise _editor(editor, f"it ended with {code}")
    return new


def fenced(text: str) -> str:
    """Write the command that puts a text in force; the fence is longer than any inside."""
    fence = "`" * max(3, longest_ticks(text) + 1)
    return f"/edit\n{fence}markdown\n{text.rstrip()}\n{fence}"


def longest_ticks(text: str) -> int:
    """Count the longest run of backticks, so that a fence around the text can be longer."""
    best = run = 0
    for letter in text:
        run = run + 1 if letter == "`" else 0
        best = max(best, run)
    return best


def _editor(editor: str, why: str) -> GatewrightError:
    return GatewrightError("GW-EDITOR", f"the editor '{editor}' did not end well", why=why, fix="Set EDITOR.")
