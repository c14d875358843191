"""qa.md: the same report gives the same bytes, and says what decided."""

from __future__ import annotations

from bot.model.documents import normalise
from bot.model.qa_document import render_qa
from tests.bot.reports.samples import ATTACK, SPEC, report


def test_the_report_names_commit_criteria_checks_and_exit_codes():
    text = render_qa(report(passed=False), SPEC)
    assert text.startswith("# QA report, round 1: not passed\n")
    for part in (
        "`7be20f4111",
        "2 of 3 met",
        "**AC-3** ✗ not met",
        "`make test`: exit 2, 63.0 s, 419 passed, 0 failed",
    ):
        assert part in text
    assert "### Output of test" in text


def test_the_report_is_deterministic_and_in_normal_form():
    assert render_qa(report(), SPEC) == render_qa(report(), SPEC) == normalise(render_qa(report(), SPEC))


def test_text_by_models_adds_no_heading_and_hides_nothing():
    text = render_qa(report(ATTACK, passed=False), SPEC)
    headings = [line for line in text.splitlines() if line.startswith("#")]
    assert headings == [
        "# QA report, round 1: not passed",
        "## Criteria: 2 of 3 met",
        "## Checks, run by Gatewright in a fresh checkout",
        "### Output of test",
        "## Notes",
    ]
    prose = [line for line in text.splitlines() if not line.startswith("    ")]
    assert not any("<!--" in line for line in prose)
