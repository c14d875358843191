"""What a journal tells: sandbox, evidence, verdicts."""

from __future__ import annotations

import msgspec
import pytest

from bot.audit.record import Record, Ref, Who
from bot.model.evidence import CheckRun, CriterionVerdict, Met, QaReport
from bot.model.state import Gate, Step
from bot.model.task import Attempt, Usage
from bot.terminal.demo import SAMPLE
from bot.terminal.tale import Tale, faults, figures, name, step_titles, summary
from tests.bot.terminal.test_gates import task

WHO = Who(id="agent:toy", role="author", type="agent")
RECORDED = msgspec.json.decode((SAMPLE / "demo.json").read_bytes())["phases"]
SPEC, PLAN = (RECORDED[phase][0][-1]["text"] for phase in ("spec", "planning"))


def record(kind: str, *refs: Ref, **data: object) -> Record:
    return Record(WHO, "observed", data, kind, "ok", "0" * 64, refs, 0, "0-abcdef", 0, 1)


def attempt(step: Step, number: int = 1, **more: object) -> Attempt:
    return msgspec.structs.replace(Attempt(number, step, "toy", 0, ended_ms=400, outcome="ok"), **more)


REPORT = QaReport(
    2, "c" * 40, "d" * 64, passed=False,
    checks=(CheckRun("unit", "make test", 1, 5, passed=9, failed=2), CheckRun("lint", "ruff", 0, 5)),
    criteria=(CriterionVerdict("AC-1", Met.MET, "x"), CriterionVerdict("AC-2", Met.NOT_MET, "no test waits")),
)  # fmt: skip


@pytest.mark.parametrize(("kind", "words"), [("bwrap", "in a sandbox (bwrap)"), ("none", "WITHOUT a sandbox")])
def test_how_an_agent_was_confined_is_told_from_the_record(kind, words):
    tale = Tale()
    tale.hear([record("gate", rule="sandbox", result=kind, attempt=3)])
    now = msgspec.structs.replace(task(), steps_done=2, steps_total=3)
    assert tale.words(now, attempt(Step.CODING, 3), None) == f"2 of 3 steps {words}"


def test_what_was_not_recorded_is_not_claimed():
    assert Tale().words(task(), attempt(Step.CODING), None).strip() == "0 of 0 steps"


def test_qa_that_ran_and_found_faults_is_not_fine():
    tale, ref = Tale(), Ref(commit="e" * 64, name="report", size=1)
    data = {"attempt": 4, "round": 2, "commit": "c" * 40, "source_sha256": "d" * 64, "criteria": 2, "met": 1}
    tale.hear([record("qa.verdict", ref, **data, verdict="failed")])
    qa = attempt(Step.QA, 4, round=2)
    assert not tale.is_fine(qa)
    assert tale.report(4) == "e" * 64
    assert name(qa) == "QA (2)"
    assert tale.words(task(), qa, REPORT) == "1 of 2 criteria met, 9 passed, 2 failed, unit exit 1, lint exit 0"
    assert faults(REPORT) == ["AC-2 not met: no test waits", "unit: `make test` ended with 1"]


def test_evidence_is_counted_as_it_was_pushed():
    tale = Tale()
    tale.hear([record("pushed", attempt=7, ref="refs/heads/x", commit="c" * 40, size=168)])
    assert tale.words(task(), attempt(Step.PUBLISH, 7), None) == "168 records with the branch"


def test_a_failure_says_its_code():
    assert Tale().words(task(), attempt(Step.SPEC, outcome="fail", code="GW-MODEL-DOWN"), None) == "fail GW-MODEL-DOWN"


def test_what_a_draft_holds_is_counted():
    assert summary(Gate.SPEC, SPEC, SPEC) == "4 acceptance criteria, 1 open question"
    assert summary(Gate.PLAN, PLAN, SPEC) == "3 steps, 6 files, 1 risk"
    assert step_titles(PLAN, SPEC)[2] == "Compute the waits"
    assert step_titles("no plan", SPEC) == {}


@pytest.mark.parametrize(("micro", "words"), [(140_000, "0.4 s   0.14 USD"), (None, "0.4 s   31 k tokens, no price")])
def test_an_unknown_price_is_said_and_no_zero(micro, words):
    assert figures(attempt(Step.SPEC, usage=Usage(2, 30_000, 1_000, micro))) == words
    assert figures(attempt(Step.PUBLISH)) == "0.4 s"
