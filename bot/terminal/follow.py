"""Follow one task from state to state, asking at its gates, until it ends, blocks or has to wait for somebody."""

from __future__ import annotations

import asyncio
from enum import IntEnum
from typing import Final

import msgspec

from bot.model.approval import SHOWN
from bot.model.errors import GatewrightError
from bot.model.evidence import QaReport
from bot.model.task import Attempt, Gate, Heard, State, Step, Task
from bot.reports.problems import problem
from bot.terminal.gates import Decider
from bot.terminal.screen import Screen
from bot.terminal.session import Session

POLL_S: Final = 0.05
NAMES: Final = {
    Step.SPEC: "Spec",
    Step.PLANNING: "Plan",
    Step.CODING: "Coding",
    Step.QA: "QA",
    Step.QA_FIXER: "Fixing",
    Step.PUBLISH: "Evidence",
    Step.ARCHIVE: "Evidence",
}
SHOWN_GATE: Final = {Gate.SPEC: "gate.spec", Gate.PLAN: "gate.plan"}


class Exit(IntEnum):
    """How the command line ends."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    WAITS = 3


class Follower:
    """Prints what happens to one task and carries the person's answers to it."""

    def __init__(self, session: Session, screen: Screen, decider: Decider) -> None:
        self._session = session
        self._screen = screen
        self._decider = decider
        self._printed: dict[int, str] = {}
        self._step = 0

    async def follow(self, task_id: str) -> Exit:
        """Go on until the task is at rest."""
        while True:
            self._session.check()
            task = await self._session.state(task_id)
            self._show_progress(task)
            if task.state is State.BLOCKED:
                return self._blocked(task)
            if task.state.is_final and not task.running:
                return Exit.DONE if task.state is State.DONE else Exit.FAILED
            gate = task.state.gate
            if gate and self._is_asked(task, gate) and not await self._decide(task, gate):
                return Exit.WAITS
            await asyncio.sleep(POLL_S)

    def _is_asked(self, task: Task, gate: Gate) -> bool:
        asked = task.asked(gate)
        if asked is None or (gate is Gate.CHANGE and (task.pull is None or task.approval(gate) is not None)):
            return False
        return gate is Gate.CHANGE or f"{SHOWN_GATE[gate]}:{asked.rev}" in task.posted

    async def _decide(self, task: Task, gate: Gate) -> bool:
        text = await self._matter(task, gate)
        summary = await self._summary(task, gate)
        self._screen.line("ask", gate.value.capitalize(), summary)
        if self._screen.is_live and gate is not Gate.CHANGE:
            self._screen.show(text)
        answer = await asyncio.to_thread(self._decider.decide, task, gate, text)
        if answer is None:
            return False
        await self._session.say(task, answer)
        now = await self._session.state(task.origin.task)
        heard = now.heard[-1]
        if heard.accepted:
            verb = {"approve": "approved", "revise": "sent back", "edit": "edited", "reject": "rejected"}
            digest = now.requested[-1].digest[:SHOWN] if heard.verb == "approve" else ""
            words = f"{verb.get(heard.verb, heard.verb)} by you{', ' + digest if digest else ''}"
            self._screen.line("ok", gate.value.capitalize(), words)
        else:
            self._refused(heard)
        return True

    def _refused(self, heard: Heard) -> None:
        """Show a person why, and let them answer again; where no person answers, end."""
        said = self._session.text(heard.answer) if heard.answer else heard.code
        words = "\n".join(line for line in said.splitlines() if not line.startswith("<"))
        if not self._decider.is_person:
            raise GatewrightError(heard.code, f"`{heard.verb}` was refused", why=words.strip())
        self._screen.show(words)

    async def _matter(self, task: Task, gate: Gate) -> str:
        artifact = task.artifact(gate)
        if artifact is not None:
            return self._session.text(artifact.commitment)
        return await self._session.diff(task)

    async def _summary(self, task: Task, gate: Gate) -> str:
        asked = task.asked(gate)
        digest = asked.digest[:SHOWN] if asked else ""
        if gate is Gate.CHANGE:
            return f"{await self._session.diffstat(task)}  {digest}"
        text = self._session.text(task.artifact(gate).commitment) if task.artifact(gate) else ""  # type: ignore[union-attr]
        count = text.count("- **AC-") if gate is Gate.SPEC else text.count("\n### ")
        return f"{count} {'acceptance criteria' if gate is Gate.SPEC else 'steps'}, {digest}"

    def _show_progress(self, task: Task) -> None:
        for attempt in task.attempts:
            before = self._printed.get(attempt.number)
            now = attempt.outcome or "running"
            if before != now:
                self._printed[attempt.number] = now
                self._show_attempt(task, attempt)
        if task.steps_done > self._step and task.state is State.CODING:
            self._screen.line("note", "Coding", f"step {task.steps_done} of {task.steps_total} done")
        self._step = task.steps_done

    def _show_attempt(self, task: Task, attempt: Attempt) -> None:
        name = NAMES[attempt.step]
        if not attempt.outcome:
            if attempt.step.phase and not self._screen.is_live:
                self._screen.line("note", name, f"started with {attempt.model}")
            return
        seconds = (attempt.ended_ms - attempt.started_ms) / 1000
        cost = "-" if attempt.usage.micro_usd is None else f"{attempt.usage.micro_usd / 1e6:.2f}"
        right = f"{seconds:.1f} s   {cost} USD" if attempt.step.phase else f"{seconds:.1f} s"
        is_fine = attempt.outcome == "ok" and not (attempt.step is Step.QA and not self._qa_passed(task, attempt))
        self._screen.line("ok" if is_fine else "fail", name, self._words(task, attempt), right)

    def _qa_passed(self, task: Task, attempt: Attempt) -> bool:
        return task.verdict is None or task.verdict.round != attempt.round or task.verdict.passed

    def _words(self, task: Task, attempt: Attempt) -> str:
        if attempt.outcome != "ok":
            return f"{attempt.outcome} {attempt.code}".rstrip()
        if attempt.step is Step.QA and task.verdict:
            return self._qa_words(task)
        if attempt.step is Step.CODING:
            return f"{task.steps_done} of {task.steps_total} steps {self._session.jail}"
        written = {Step.SPEC: "written by", Step.PLANNING: "written by", Step.QA_FIXER: "by"}.get(attempt.step)
        return f"{written} {attempt.model}" if written else "recorded and pushed"

    def _qa_words(self, task: Task) -> str:
        if task.verdict is None or not task.verdict.commitment:
            return ""
        report = msgspec.json.decode(self._session.text(task.verdict.commitment), type=QaReport)
        checks = ", ".join(_check(c.name, c.exit_code, c.passed) for c in report.checks)
        return f"{task.verdict.met} of {task.verdict.criteria} criteria met, {checks or 'no checks'}"

    def _blocked(self, task: Task) -> Exit:
        explanation = self._session.text(task.blocked_blob) if task.blocked_blob else ""
        why = problem(task.blocked_code, explanation)
        self._screen.line("fail", "Blocked", why.what)
        raise GatewrightError(
            why.code,
            why.what,
            why=why.why or why.log[-400:],
            fix=why.fix or f"gatewright tasks retry {task.origin.task}",
        )


def _check(name: str, exit_code: int, passed: int | None) -> str:
    count = f"{passed} tests, " if passed is not None else ""
    return f"{count}{name} exit {exit_code}"
