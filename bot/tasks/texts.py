"""What the bot says about a task: its words, filled with what the task's blobs hold."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from bot.model.documents import parse_plan, parse_spec
from bot.model.errors import GatewrightError
from bot.model.evidence import Plan, QaReport, Spec
from bot.model.task import Artifact, Gate, Task
from bot.reports.problems import problem
from bot.reports.views import Subject
from bot.reports.words import Words
from bot.tasks.binding import binding
from bot.tasks.desk import Desk
from bot.tasks.needs import DAY_MS


@dataclass(frozen=True)
class Texts:
    """Every text about a task that is posted to its forge."""

    desk: Desk
    words: Words

    def blob(self, commitment: str) -> str:
        """Read a blob as text; none reads as empty."""
        return self.desk.blobs.get(commitment).decode("utf-8", "replace") if commitment else ""

    def progress(self, task: Task) -> str:
        """Show where the task stands."""
        titles: tuple[str, ...] = ()
        if task.plan and task.spec:
            titles = tuple(step.title for step in self._plan(task.plan, self._spec(task.spec)).steps)
        now_ms = self.desk.clock()
        return self.words.progress(task, now_ms=now_ms, subject=self._subject(task), step_titles=titles)

    def gate(self, task: Task, gate: Gate) -> str:
        """Ask for a decision about the draft in force."""
        artifact, asked = task.artifact(gate), task.asked(gate)
        if artifact is None or asked is None:
            raise GatewrightError("GW-GATE-EMPTY", f"there is no {gate.value} to show")
        before = task.draft(gate, artifact.rev - 1)
        return self.words.gate(
            task,
            gate,
            self.blob(artifact.commitment),
            asked.digest,
            asked.at_ms + self.desk.settings.policy.gate_days * DAY_MS,
            rev=artifact.rev,
            spec_text=self.blob(task.spec.commitment) if task.spec else "",
            previous_text=self.blob(before.commitment) if before else "",
            subject=self._subject(task),
        )

    def superseded(self, task: Task, gate: Gate, rev: int) -> str:
        """Fold a draft that was replaced."""
        old = task.draft(gate, rev)
        return self.words.superseded(task, gate, rev, self.blob(old.commitment) if old else "")

    def blocked(self, task: Task) -> str:
        """Say why nothing goes on."""
        why = problem(task.blocked_code, self.blob(task.blocked_blob))
        return self.words.blocked(task, why, now_ms=self.desk.clock(), subject=self._subject(task))

    def closed(self, task: Task) -> str:
        """Say how the task ended."""
        return self.words.closed(task, now_ms=self.desk.clock(), subject=self._subject(task))

    def change_title(self, task: Task) -> str:
        """Name the change."""
        return self.words.change_title(task, self._spec(task.spec))

    def change_body(self, task: Task) -> str:
        """Describe the change."""
        spec = self._spec(task.spec)
        report = task.verdict.commitment if task.verdict else ""
        return self.words.change_body(
            task,
            spec=spec,
            plan=self._plan(task.plan, spec),
            qa=msgspec.json.decode(self.desk.blobs.get(report), type=QaReport) if report else None,
            now_ms=self.desk.clock(),
            digest=binding(task, Gate.CHANGE, self.desk.settings.server.instance).digest(),
            subject=self._subject(task),
        )

    def _spec(self, draft: Artifact | None) -> Spec:
        if draft is None:
            raise GatewrightError("GW-PULL-SPEC", "there is no spec to describe the change by")
        return parse_spec(self.blob(draft.commitment))

    def _plan(self, draft: Artifact | None, spec: Spec) -> Plan:
        if draft is None:
            raise GatewrightError("GW-PULL-SPEC", "there is no plan to describe the change by")
        return parse_plan(self.blob(draft.commitment), spec)

    def _subject(self, task: Task) -> Subject:
        return Subject(title=self.desk.snapshot(task.issue_blob).title)
