"""Follow one task from state to state, asking at its gates, until it ends, blocks or has to wait for somebody."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from enum import IntEnum
from typing import Final

import msgspec

from bot.model.approval import SHOWN
from bot.model.errors import GatewrightError
from bot.model.evidence import QaReport
from bot.model.state import Gate, State, Step
from bot.model.task import Attempt, Heard, Task
from bot.reports.problems import problem
from bot.reports.views import Problem
from bot.tasks.deposit import Deposit
from bot.terminal import asking
from bot.terminal.deeds import Deeds
from bot.terminal.gates import Decider
from bot.terminal.screen import Screen
from bot.terminal.session import Session
from bot.terminal.tale import Tale, faults, figures, name, step_titles, summary

POLL_S: Final = 0.05
SAID: Final = {"approve": "approved", "revise": "sent back", "edit": "edited", "reject": "rejected", "fix": "sent back"}
LONG_DIFF: Final = 250  # lines that are shown unasked
FAULT: Final = 300  # characters of one finding of QA


class Exit(IntEnum):
    """How the command line ends."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    WAITS = 3


class Follower:
    """Prints what happens to one task and carries the person's answers to it.

    `ways` writes what a person can do about a blocked task.
    """

    def __init__(
        self, session: Session, screen: Screen, decider: Decider, ways: Callable[[Task, Problem], str]
    ) -> None:
        self.tale = Tale()
        self._session = session
        self._screen = screen
        self._decider = decider
        self._ways = ways
        self._deeds = Deeds(session.control.desk.redis, session.control.desk.blobs)
        self._printed: dict[int, str] = {}
        self._step = 0
        self._titles: dict[int, str] = {}
        self._unmet = ""  # digest whose unmet rules were told

    async def follow(self, task_id: str, *, is_new: bool = True) -> Exit:
        """Go on until the task is at rest; of one that is not new, only what happens from now on is told."""
        if not is_new:
            await self._skip(task_id)
        try:
            code = await self._follow(task_id)
        finally:
            self._screen.status.clear()
        await self._session.settle(task_id)
        return code

    async def _skip(self, task_id: str) -> None:
        task = await self._session.state(task_id)
        self._printed = {attempt.number: attempt.outcome for attempt in task.attempts if attempt.outcome}
        self._step = task.steps_done

    async def _follow(self, task_id: str) -> Exit:
        while True:
            self._session.check()
            task = await self._session.state(task_id)
            self.tale.hear(await self._session.records(task_id, self.tale.size, task.size))
            await self._show_progress(task)
            if task.state is State.BLOCKED and not task.running:
                raise self._blocked(task)
            if task.state.is_final and (last := await self._session.rest(task)) is not None:
                self._delivered(task, last)
                return Exit.DONE if task.state is State.DONE else Exit.FAILED
            gate = task.state.gate
            if gate and asking.is_asked(task, gate):
                self._screen.status.clear()
                if not self._tells_unmet(task, gate) or not await self._decide(task, gate):
                    return Exit.WAITS
            if why := asking.held(task, int(time.time() * 1000)):
                self._screen.line("note", "Waits", f"nothing new is started: {why}")
                return Exit.WAITS
            await asyncio.sleep(POLL_S)

    def _delivered(self, task: Task, last: Deposit) -> None:
        """Say where the sealed journal lies, or that it is still to be brought there."""
        self._screen.status.clear()
        if last.done_ms:
            self._screen.line("ok", "Evidence", f"{task.size} records, sealed, on the audit ref")
            return
        words = f"sealed, and not on the audit ref yet ({last.code}): it is tried again whenever Gatewright runs"
        self._screen.line("fail", "Evidence", words)

    def _tells_unmet(self, task: Task, gate: Gate) -> bool:
        """Say once which rules an answer did not meet; False where nobody is there to answer otherwise."""
        unmet, asked = task.unmet, task.asked(gate)
        if not unmet or asked is None or asked.digest == self._unmet:
            return True
        self._unmet = asked.digest
        words = f"policy asks for more than this approval: {', '.join(unmet)}"
        self._screen.line("fail", gate.value.capitalize(), words)
        return self._decider.is_person

    async def _decide(self, task: Task, gate: Gate) -> bool:
        word = gate.value.capitalize()
        text = await self._matter(task, gate)
        words = await self._present(task, gate, text)
        asked = task.asked(gate)
        digest = asked.digest[:SHOWN] if asked else ""
        self._screen.line("ask", word, words if self._screen.is_live else f"waits for approval of {digest}: {words}")
        answer = await self._decider.decide(task, gate, text)
        if answer is None:
            return False
        await self._session.say(task, answer)
        heard = (await self._session.state(task.origin.task)).heard[-1]
        if heard.accepted:
            end = f", {digest}" if heard.verb == "approve" else ""
            self._screen.line("ok", word, f"{SAID.get(heard.verb, heard.verb)} by {self._decider.name}{end}")
        else:
            self._refused(heard)
        return True

    async def _present(self, task: Task, gate: Gate, text: str) -> str:
        """Show what is to be decided on, and say in a line what it holds."""
        if gate is Gate.SCOPE:
            self._screen.show(text)
            return asking.counted(self._found(task))
        if gate is not Gate.CHANGE:
            self._screen.show(text)
            spec = self._session.text(task.spec.commitment) if task.spec else ""
            return summary(gate, text, spec)
        if text.count("\n") <= LONG_DIFF:
            self._screen.show(text, "diff")
        if commitment := self.tale.qa_text():
            self._screen.show(self._session.text(commitment))
        return await self._session.diffstat(task)

    def _refused(self, heard: Heard) -> None:
        """Show a person why, and let them answer again; where no person answers, end."""
        said = self._session.text(heard.answer) if heard.answer else heard.code
        words = "\n".join(line for line in said.splitlines() if not line.startswith("<")).strip()
        if not self._decider.is_person:
            raise GatewrightError(heard.code, f"`{heard.verb}` was refused", why=words)
        self._screen.show(words)

    async def _matter(self, task: Task, gate: Gate) -> str:
        artifact = task.artifact(gate)
        if artifact is not None:
            return self._session.text(artifact.commitment)
        if gate is Gate.SCOPE:
            return asking.as_text(self._found(task))
        return await self._session.diff(task)

    def _found(self, task: Task) -> tuple[asking.Finding, ...]:
        return asking.findings(self._session.text(task.scope.blob)) if task.scope and task.scope.blob else ()

    async def _show_progress(self, task: Task) -> None:
        for attempt in task.attempts:
            if attempt.step is Step.CODING:
                self._show_steps(task)
            before, now = self._printed.get(attempt.number), attempt.outcome or "running"
            if before != now:
                self._printed[attempt.number] = now
                self._show_attempt(task, attempt)
        if running := task.running:
            deeds = await self._deeds.look(task.origin.task, running.number) if self._screen.is_live else ()
            self._screen.status.update(name(running), self._doing(task, running), running.started_ms / 1000, deeds)

    def _show_steps(self, task: Task) -> None:
        self._step = min(self._step, task.steps_done)
        if task.steps_total and not self._titles and task.plan and task.spec:
            plan, spec = (self._session.text(each.commitment) for each in (task.plan, task.spec))
            self._titles = step_titles(plan, spec)
        while self._step < task.steps_done:
            self._step += 1
            self._screen.line(
                "note", "Coding", f"step {self._step} of {task.steps_total}: {self._titles.get(self._step, 'done')}"
            )

    def _doing(self, task: Task, attempt: Attempt) -> str:
        if attempt.step is Step.CODING and task.steps_total:
            number = min(task.steps_done + 1, task.steps_total)
            return f"step {number} of {task.steps_total}: {self._titles.get(number, '')}"
        if attempt.step is Step.QA:
            return f"its own tests first, then {attempt.model} judges"
        return attempt.model or "committing and pushing"

    def _show_attempt(self, task: Task, attempt: Attempt) -> None:
        word = name(attempt)
        if not attempt.outcome:
            if attempt.step.phase and not self._screen.is_live:
                self._screen.line("note", word, f"starts with {attempt.model}")
            return
        report = self._report(attempt)
        mark = "ok" if self.tale.is_fine(attempt) else "fail"
        self._screen.line(mark, word, self.tale.words(task, attempt, report), figures(attempt))
        for fault in faults(report) if report and not report.passed else ():
            short = fault if len(fault) <= FAULT else fault[:FAULT] + "…"
            if self._screen.is_live:
                self._screen.detail(short)
            else:
                self._screen.line("note", word, short)

    def _report(self, attempt: Attempt) -> QaReport | None:
        commitment = self.tale.report(attempt.number)
        return msgspec.json.decode(self._session.text(commitment), type=QaReport) if commitment else None

    def _blocked(self, task: Task) -> GatewrightError:
        explanation = self._session.text(task.blocked_blob) if task.blocked_blob else ""
        why = problem(task.blocked_code, explanation)
        what = why.what.removesuffix(f" [{why.code}]")  # the worker's words end with it
        return GatewrightError(why.code, what, why=why.why or why.log[-400:], fix=self._ways(task, why))
