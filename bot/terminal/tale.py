"""What a journal tells beyond the state of its task: how agents were confined, what was pushed, what QA found."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import msgspec

from bot.audit.kinds import Pushed, QaVerdict
from bot.audit.record import Record
from bot.model.documents import parse_plan, parse_spec
from bot.model.errors import GatewrightError
from bot.model.evidence import CheckRun, Met, QaReport
from bot.model.state import Gate, Step
from bot.model.task import Attempt, Task
from bot.reports.figures import tokens
from bot.terminal.screen import span

NAMES: Final = {
    Step.SPEC: "Spec",
    Step.PLANNING: "Plan",
    Step.CODING: "Coding",
    Step.QA: "QA",
    Step.QA_FIXER: "Fixing",
    Step.PUBLISH: "Evidence",
    Step.ARCHIVE: "Evidence",
}


def name(attempt: Attempt) -> str:
    """Name a step in one word, a QA round by its number."""
    return f"QA ({attempt.round})" if attempt.step is Step.QA and attempt.round > 1 else NAMES[attempt.step]


class Tale:
    """Facts by attempt, gathered record by record."""

    def __init__(self) -> None:
        self.size = 0  # records heard so far
        self._jails: dict[int, str] = {}
        self._pushed: dict[int, Pushed] = {}
        self._verdicts: dict[int, tuple[QaVerdict, dict[str, str]]] = {}

    def hear(self, records: Iterable[Record]) -> None:
        """Take in further records."""
        for record in records:
            self.size += 1
            attempt = int(record.data.get("attempt", 0))
            if record.kind == "gate" and record.data.get("rule") == "sandbox":
                self._jails[attempt] = str(record.data.get("result"))
            elif record.kind == "pushed":
                self._pushed[attempt] = msgspec.convert(record.data, Pushed)
            elif record.kind == "qa.verdict":
                refs = {ref.name: ref.commit for ref in record.refs}
                self._verdicts[attempt] = msgspec.convert(record.data, QaVerdict), refs

    def qa_text(self) -> str:
        """Name the commitment of the newest qa.md; empty where there is none."""
        return list(self._verdicts.values())[-1][1].get("qa.md", "") if self._verdicts else ""

    def report(self, attempt: int) -> str:
        """Name the commitment of an attempt's QA report; empty where it made none."""
        return self._verdicts[attempt][1].get("report", "") if attempt in self._verdicts else ""

    def is_fine(self, attempt: Attempt) -> bool:
        """Tell whether an attempt ended well, and QA with it."""
        verdict = self._verdicts.get(attempt.number)
        return attempt.outcome == "ok" and (verdict is None or verdict[0].verdict == "passed")

    def words(self, task: Task, attempt: Attempt, report: QaReport | None) -> str:
        """Say what an attempt that has ended came to."""
        if attempt.outcome != "ok":
            return f"{attempt.outcome} {attempt.code}".rstrip()
        if attempt.step is Step.CODING:
            return f"{task.steps_done} of {task.steps_total} steps {self._jail(attempt.number)}"
        if attempt.step is Step.QA:
            return self._judged(attempt, report)
        if attempt.step in (Step.PUBLISH, Step.ARCHIVE):
            pushed = self._pushed.get(attempt.number)
            size = pushed.size if pushed else 0
            return f"{size} records {'with the branch' if attempt.step is Step.PUBLISH else 'on the audit ref'}"
        return f"{'by' if attempt.step is Step.QA_FIXER else 'written by'} {attempt.model}"

    def _jail(self, attempt: int) -> str:
        kind = self._jails.get(attempt, "")
        return {"bwrap": "in a sandbox (bwrap)", "none": "WITHOUT a sandbox"}.get(kind, "")

    def _judged(self, attempt: Attempt, report: QaReport | None) -> str:
        if report is None:
            return "judged"
        met = sum(each.met is Met.MET for each in report.criteria)
        checks = ", ".join(map(checked, report.checks)) or "no checks of its own"
        unconfined = ", WITHOUT a sandbox" if self._jails.get(attempt.number) == "none" else ""
        return f"{met} of {len(report.criteria)} criteria met, {checks}{unconfined}"


def checked(check: CheckRun) -> str:
    """Say how one of the repository's own checks ended."""
    counts = [f"{number} {noun}" for number, noun in ((check.passed, "passed"), (check.failed, "failed")) if number]
    return ", ".join([*counts, f"{check.name} exit {check.exit_code}"])


def faults(report: QaReport) -> list[str]:
    """List what QA found wrong, a line each."""
    found = [f"{each.id} {each.met.value.replace('_', ' ')}: {each.evidence}" for each in report.criteria
             if each.met is not Met.MET]  # fmt: skip
    return found + [
        f"{each.name}: `{each.command}` ended with {each.exit_code}" for each in report.checks if not each.ok
    ]


def figures(attempt: Attempt) -> str:
    """Say how long an attempt took and, where a model worked, what it cost."""
    time = span(attempt.worked(attempt.ended_ms))
    if not attempt.step.phase:
        return time
    if attempt.usage.micro_usd is None:
        return f"{time}   {tokens(attempt.usage.tokens)} tokens, no price"
    return f"{time}   {attempt.usage.micro_usd / 1e6:.2f} USD"


def summary(gate: Gate, text: str, spec: str) -> str:
    """Count what a draft holds."""
    try:
        if gate is Gate.SPEC:
            found = parse_spec(text)
            parts = [
                (len(found.criteria), "acceptance criteri", "on", "a"),
                (len(found.questions), "open question", "", "s"),
            ]
        else:
            plan = parse_plan(text, parse_spec(spec))
            files = {file for step in plan.steps for file in step.files}
            parts = [
                (len(plan.steps), "step", "", "s"),
                (len(files), "file", "", "s"),
                (len(plan.risks), "risk", "", "s"),
            ]
    except GatewrightError as error:  # a draft of an older version
        return error.what
    return ", ".join(f"{n} {noun}{one if n == 1 else many}" for n, noun, one, many in parts if n)


def step_titles(plan: str, spec: str) -> dict[int, str]:
    """Name the steps of a plan by number."""
    try:
        return {step.number: step.title for step in parse_plan(plan, parse_spec(spec)).steps}
    except GatewrightError:
        return {}
