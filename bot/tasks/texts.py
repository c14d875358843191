"""What the bot says about a task: its words, filled with what the task's blobs hold."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import msgspec

from bot.model import hygiene
from bot.model.documents import parse_plan, parse_spec
from bot.model.errors import GatewrightError
from bot.model.evidence import Plan, QaReport, Spec
from bot.model.gates import Artifact
from bot.model.hygiene import Removed
from bot.model.state import Gate
from bot.model.task import Task
from bot.reports.problems import problem
from bot.reports.views import Approvers, ScopeItem, Subject, Waits
from bot.reports.words import NOTHING, Words
from bot.tasks.binding import binding
from bot.tasks.desk import Desk
from bot.tasks.needs import DAY_MS

MOST_FINDINGS: Final = 60  # that a comment lists


@dataclass(frozen=True)
class Texts:
    """Every text about a task that is posted to its forge."""

    desk: Desk
    words: Words
    policy_by: str = ""  # who last changed the repository's policy file
    note: str = ""  # the newest signed checkpoint of the journal

    def blob(self, commitment: str) -> str:
        """Read a blob as text; none reads as empty."""
        return self.desk.blobs.get(commitment).decode("utf-8", "replace") if commitment else ""

    def progress(self, task: Task, waits: Waits = NOTHING) -> str:
        """Show where the task stands."""
        titles: tuple[str, ...] = ()
        if task.plan and task.spec:
            titles = tuple(step.title for step in self._plan(task.plan, self._spec(task.spec)).steps)
        now_ms = self.desk.clock()
        return self.words.progress(task, now_ms=now_ms, subject=self._subject(task), step_titles=titles, waits=waits)

    def gate(self, task: Task, gate: Gate, approvers: Approvers) -> str:
        """Ask for a decision about what is in force."""
        artifact, asked = task.artifact(gate), task.asked(gate)
        if asked is None or (artifact is None and gate is not Gate.SCOPE):
            raise GatewrightError("GW-GATE-EMPTY", f"there is no {gate.value} to show")
        before = task.draft(gate, artifact.rev - 1) if artifact else None
        findings = self._findings(task) if gate is Gate.SCOPE else ()
        return self.words.gate(
            task,
            gate,
            self.blob(artifact.commitment) if artifact else "",
            asked.digest,
            asked.at_ms + task.policy.gate_days * DAY_MS,
            rev=asked.rev,
            spec_text=self.blob(task.spec.commitment) if task.spec else "",
            previous_text=self.blob(before.commitment) if before else "",
            subject=self._subject(task),
            approvers=approvers,
            removed=self._removed(task) if gate is Gate.SPEC else (),
            findings=findings[:MOST_FINDINGS],
            count=len(findings),
        )

    def superseded(self, task: Task, gate: Gate, rev: int) -> str:
        """Fold what was replaced."""
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

    def change_body(self, task: Task, approvers: Approvers | None = None) -> str:
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
            approvers=approvers,
        )

    def _findings(self, task: Task) -> tuple[ScopeItem, ...]:
        """Read all scope findings; the record holds the first ones only."""
        found = self.desk.blobs.get(task.scope.blob) if task.scope and task.scope.blob else b"[]"
        return tuple(msgspec.json.decode(found, type=list[ScopeItem]))

    def _removed(self, task: Task) -> tuple[Removed, ...]:
        """Name what hidden text the issue held, as it was kept out of prompts."""
        issue = self.desk.snapshot(task.issue_blob)
        return hygiene.merged(hygiene.strip_line(issue.title), hygiene.strip(issue.body))

    def _spec(self, draft: Artifact | None) -> Spec:
        if draft is None:
            raise GatewrightError("GW-PULL-SPEC", "there is no spec to describe the change by")
        return parse_spec(self.blob(draft.commitment))

    def _plan(self, draft: Artifact | None, spec: Spec) -> Plan:
        if draft is None:
            raise GatewrightError("GW-PULL-SPEC", "there is no plan to describe the change by")
        return parse_plan(self.blob(draft.commitment), spec)

    def _subject(self, task: Task) -> Subject:
        issue = self.desk.snapshot(task.issue_blob)
        return Subject(title=issue.title, author=issue.author, policy_by=self.policy_by, note=self.note)
