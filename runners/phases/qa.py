"""Judge the work: the repository's own checks by exit code, each criterion by a model that had no part in it."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from bot.model.documents import parse_spec
from bot.model.errors import GatewrightError
from bot.model.evidence import CheckRun, CriterionVerdict, Met, QaReport, Spec
from bot.model.qa_document import render_qa
from runners.phases.protocol import Bench, Made, prompt, texts
from runners.providers.protocol import Access
from runners.quality.detect import READ, Checks, detect
from runners.quality.run import run_checks

EVIDENCE: Final = 2_000  # characters of evidence for one criterion


async def run(bench: Bench) -> Made | None:
    """Run the checks, have the criteria judged, and report one verdict on one commit.

    Where people have to decide on the scope first, it ends without a verdict.
    """
    order = bench.order
    if order.spec is None or not order.head:
        raise GatewrightError("GW-ORDER-HEAD", "QA was ordered before there was any work", fix="`retry`")
    spec_text = texts(bench, [order.spec.commitment])[0]
    spec = parse_spec(spec_text)
    is_delivered = await bench.deliver()
    made = Made(bench.head, await bench.source())
    if not is_delivered:
        return made
    checks = await _detected(bench)
    runs = await _checked(bench, checks)
    answer, is_confined = await _judged(bench, spec, spec_text, runs)
    report = _report(order.round, made, spec, checks, runs, answer, is_confined=is_confined)
    content = msgspec.json.encode(report)
    data = {
        "round": order.round,
        "commit": made.commit,
        "source_sha256": made.source_sha256,
        "verdict": "passed" if report.passed else "failed",
        "criteria": len(report.criteria),
        "met": sum(verdict.met is Met.MET for verdict in report.criteria),
    }
    blobs = {"report": content, "qa.md": render_qa(report, spec).encode()}
    bench.recorder.record("qa.verdict", data, outcome="ok" if report.passed else "fail", blobs=blobs)
    return made


def schema(spec: Spec) -> dict[str, Any]:
    """Describe the answer QA must give: a finding with evidence for each criterion of this spec."""
    finding = {
        "type": "object",
        "properties": {
            "id": {"type": "string", "enum": [criterion.id for criterion in spec.criteria]},
            "met": {"type": "string", "enum": [met.value for met in Met]},
            "evidence": {"type": "string", "minLength": 1, "description": "files and lines, or commands and results"},
        },
        "required": ["id", "met", "evidence"],
        "additionalProperties": False,
    }
    return {
        "type": "object",
        "properties": {"criteria": {"type": "array", "items": finding}, "summary": {"type": "string"}},
        "required": ["criteria", "summary"],
        "additionalProperties": False,
    }


async def _detected(bench: Bench) -> Checks:
    files = {path: content for path in READ if (content := await bench.base_file(path)) is not None}
    return detect(files, await bench.base_paths())


async def _checked(bench: Bench, checks: Checks) -> tuple[CheckRun, ...]:
    def report(run: CheckRun) -> None:
        data = {
            "suite": run.name, "commit": bench.head, "exit": run.exit_code, "dur_ms": run.duration_ms,
            "passed": run.passed, "failed": run.failed, "skipped": run.skipped,
        }  # fmt: skip
        blobs = {"output": run.tail.encode("utf-8", "replace")}
        bench.recorder.record("test.run", data, outcome="ok" if run.ok else "fail", blobs=blobs)

    if not checks.checks:
        return ()
    async with bench.checkout(has_door=False) as jail:
        return await run_checks(checks, jail, remaining=bench.remaining, report=report)


async def _judged(bench: Bench, spec: Spec, spec_text: str, runs: tuple[CheckRun, ...]) -> tuple[dict[str, Any], bool]:
    """Have the criteria judged; the second is whether what ran for it, and the checks before, was confined."""
    asked = prompt("qa.md", spec=spec_text, runs=runs, diff=await bench.diff())
    # A tree of its own: code under test could have changed the one that the checks ran in.
    async with bench.checkout(has_door=True) as jail:
        result = await bench.ask(asked, access=Access.READ, schema=schema(spec), jail=jail)
        is_confined = jail.confined
    if result.answer is None:
        raise GatewrightError(
            "GW-QA-ANSWER",
            "the QA model gave no findings that can be read",
            why="its answer does not follow the form that was asked for",
            fix="`retry`, or name another model for qa",
        )
    return result.answer, is_confined


def _report(
    number: int, made: Made, spec: Spec, checks: Checks, runs: tuple[CheckRun, ...], answer: dict[str, Any], *,
    is_confined: bool,
) -> QaReport:  # fmt: skip
    found = {entry["id"]: entry for entry in answer["criteria"]}
    criteria = tuple(_verdict(criterion.id, found.get(criterion.id)) for criterion in spec.criteria)
    notes = [] if is_confined else [prompt("qa_no_sandbox.md").strip()]
    if not checks.checks and not checks.is_waived:
        notes.append(
            "No checks were found in the base commit, so nothing was proved by running it. Add `[checks]` to "
            "`.gatewright.toml` on the default branch, or `checks = []` where there shall be none."
        )
    if checks.is_waived:
        notes.append("The repository's configuration says that it has no checks.")
    is_checked = checks.is_waived or bool(runs)
    passed = is_checked and all(run.ok for run in runs) and all(verdict.met is Met.MET for verdict in criteria)
    return QaReport(
        round=number,
        commit=made.commit,
        source_sha256=made.source_sha256,
        passed=passed,
        checks=runs,
        criteria=criteria,
        summary=str(answer.get("summary", ""))[:EVIDENCE],
        notes=tuple(notes),
    )


def _verdict(criterion: str, entry: dict[str, Any] | None) -> CriterionVerdict:
    if entry is None:
        return CriterionVerdict(criterion, Met.UNCLEAR, "QA gave no finding about this criterion.")
    return CriterionVerdict(criterion, Met(entry["met"]), str(entry["evidence"])[:EVIDENCE])
