"""The thread through the evidence: criterion -> steps -> commits -> verdict, and the checks beside it."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from bot.model.evidence import Plan, QaReport, Spec


class Work(msgspec.Struct, frozen=True):
    """One commit of the task and the plan step it belongs to; 0 for a fix."""

    step: int
    commit: str


def trace(task: str, spec: Spec, plan: Plan, work: Iterable[Work], report: QaReport | None) -> bytes:
    """Write trace.json: canonical order, two-space indent, one final newline."""
    made = list(work)
    verdicts = {verdict.id: verdict for verdict in report.criteria} if report else {}
    body = {
        "task": task,
        "criteria": [
            {
                "id": criterion.id,
                "text": criterion.text,
                "steps": [step.number for step in plan.steps if criterion.id in step.criteria],
                "met": verdicts[criterion.id].met.value if criterion.id in verdicts else "unclear",
                "evidence": verdicts[criterion.id].evidence if criterion.id in verdicts else "",
            }
            for criterion in spec.criteria
        ],
        "steps": [
            {
                "number": step.number,
                "title": step.title,
                "criteria": list(step.criteria),
                "commits": [one.commit for one in made if one.step == step.number],
            }
            for step in plan.steps
        ],
        "fixes": [one.commit for one in made if one.step == 0],
        "checks": [
            {
                "name": run.name,
                "command": run.command,
                "exit": run.exit_code,
                "passed": run.passed,
                "failed": run.failed,
            }
            for run in (report.checks if report else ())
        ],
        "judged": {"commit": report.commit, "source_sha256": report.source_sha256} if report else None,
    }
    return msgspec.json.format(msgspec.json.encode(body, order="sorted"), indent=2) + b"\n"
