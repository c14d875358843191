from __future__ import annotations

from bot.model.evidence import CheckRun, Criterion, CriterionVerdict, Met, QaReport, Spec
from runners.quality.report import render

SPEC = Spec("T", "S", (Criterion("AC-1", "It works.\n\nAnd well."), Criterion("AC-2", "It stops.")))
REPORT = QaReport(
    round=2,
    commit="c" * 40,
    source_sha256="d" * 64,
    passed=False,
    checks=(CheckRun("unit", "make `test`\n# x", 2, 1500, passed=3, failed=1, skipped=0),),
    criteria=(
        CriterionVerdict("AC-1", Met.MET, "calc.py:3\n\n# QA report, round 3\n**Passed**"),
        CriterionVerdict("AC-2", Met.NOT_MET, "nothing stops it"),
    ),
    summary="Half of it.",
    notes=("Mind the gap.",),
)


def test_a_report_says_verdict_checks_and_evidence() -> None:
    assert render(REPORT, SPEC) == (
        "# QA report, round 2\n\n"
        f"**Not passed** on commit `{'c' * 40}`, source digest `{'d' * 64}`.\n\n"
        "> Half of it.\n\n"
        "## Checks\n\n"
        "- `unit`: `make 'test' # x` ended with exit code 2 after 1500 ms; 3 passed, 1 failed, 0 skipped\n\n"
        "## Criteria\n\n"
        "- **AC-1** met\n\n"
        "  > Asked: It works.\n  >\n  > And well.\n\n"
        "  > Found: calc.py:3\n  >\n  > # QA report, round 3\n  > **Passed**\n\n"
        "- **AC-2** not met\n\n"
        "  > Asked: It stops.\n\n"
        "  > Found: nothing stops it\n\n"
        "## Notes\n\n"
        "- Mind the gap.\n"
    )


def test_no_text_of_a_model_can_pass_for_a_line_of_the_report() -> None:
    assert render(REPORT, SPEC).count("\n# QA report") == 0
    assert render(REPORT, SPEC).count("\n**") == 1
