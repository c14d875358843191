"""qa.md: the verdict of a QA round as a document; the same report gives the same bytes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from bot.model.document import normalise
from bot.model.evidence import CheckRun, CriterionVerdict, Met, QaReport, Spec

_WORDS: Final = {Met.MET: "✓ met", Met.NOT_MET: "✗ not met", Met.UNCLEAR: "? unclear"}


def render_qa(report: QaReport, spec: Spec) -> str:
    """Write a QA report: verdict, criteria with evidence, checks with exit codes, notes."""
    return normalise("\n\n".join(_blocks(report, spec)))


def _blocks(report: QaReport, spec: Spec) -> Iterator[str]:
    met = sum(verdict.met is Met.MET for verdict in report.criteria)
    yield f"# QA report, round {report.round}: {'passed' if report.passed else 'not passed'}"
    yield f"- Commit: `{report.commit}`\n- Source: `sha256:{report.source_sha256}`"
    if report.summary:
        yield _line(report.summary)
    yield f"## Criteria: {met} of {len(spec.criteria)} met"
    texts = {criterion.id: criterion.text for criterion in spec.criteria}
    yield "\n".join(_criterion(verdict, texts.get(verdict.id, "")) for verdict in report.criteria) or "None was judged."
    yield "## Checks, run by Gatewright in a fresh checkout"
    yield "\n".join(f"- {_check(check)}" for check in report.checks) or "The repository names none."
    for check in report.checks:
        if not check.ok and check.tail.strip():
            yield f"### Output of {_line(check.name)}\n\n{_indented(check.tail)}"
    if report.notes:
        yield "## Notes\n\n" + "\n".join(f"- {_line(note)}" for note in report.notes)


def _criterion(verdict: CriterionVerdict, text: str) -> str:
    return f"- **{verdict.id}** {_WORDS[verdict.met]}: {_line(text)}\n  - Evidence: {_line(verdict.evidence)}"


def _check(check: CheckRun) -> str:
    counts = (("passed", check.passed), ("failed", check.failed), ("skipped", check.skipped))
    said = "".join(f", {number} {word}" for word, number in counts if number is not None)
    ended = f"exit {check.exit_code}, {check.duration_ms / 1000:.1f} s{said}"
    return f"{'✓' if check.ok else '✗'} {_line(check.name)}, `{_line(check.command)}`: {ended}"


def _line(text: str) -> str:
    return " ".join(text.replace("<!--", "< !--").split())


def _indented(text: str) -> str:
    # Indented code needs no fence that the output could close.
    return "\n".join(f"    {line}" for line in text.strip("\n").splitlines())
