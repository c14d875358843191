from __future__ import annotations

import msgspec
import pytest

from bot.model.evidence import CheckRun, CriterionVerdict, Met, QaReport


@pytest.mark.parametrize(("code", "ok"), [(0, True), (1, False), (124, False), (-9, False)])
def test_a_check_passes_by_its_exit_code_alone(code: int, ok: bool):
    assert CheckRun("unit", "pytest", code, 5, passed=9, failed=0).ok is ok


def test_a_report_survives_its_blob():
    report = QaReport(
        1, "b" * 40, "a" * 64, passed=False, checks=(CheckRun("unit", "pytest", 1, 5),),
        criteria=(CriterionVerdict("AC-1", Met.UNCLEAR, "not tried"),),
    )  # fmt: skip
    assert msgspec.json.decode(msgspec.json.encode(report), type=QaReport) == report


def test_a_finding_that_is_none_of_three_is_no_report():
    raw = b'{"id":"AC-1","met":"mostly","evidence":"x"}'
    with pytest.raises(msgspec.ValidationError):
        msgspec.json.decode(raw, type=CriterionVerdict)
