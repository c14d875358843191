from __future__ import annotations

import json

from bot.model.evidence import Criterion, CriterionVerdict, Met, Plan, PlanStep, QaReport, Spec
from runners.quality.trace import Work, trace

SPEC = Spec("T", "S", (Criterion("AC-1", "a"), Criterion("AC-2", "b")))
PLAN = Plan(
    "T", "S", (PlanStep(1, "x", "", ("f",), ("AC-1",), "v"), PlanStep(2, "y", "", ("g",), ("AC-1", "AC-2"), "v"))
)
REPORT = QaReport(1, "c" * 40, "d" * 64, True, (), (CriterionVerdict("AC-1", Met.MET, "f:1"),))


def test_the_thread_runs_from_criteria_over_steps_to_commits_and_fixes() -> None:
    found = json.loads(trace("42-k7f3qd", SPEC, PLAN, [Work(1, "aa"), Work(2, "bb"), Work(0, "cc")], REPORT))
    assert [(one["id"], one["steps"], one["met"]) for one in found["criteria"]] == [
        ("AC-1", [1, 2], "met"), ("AC-2", [2], "unclear"),
    ]  # fmt: skip
    assert [one["commits"] for one in found["steps"]] == [["aa"], ["bb"]]
    assert found["fixes"] == ["cc"]
    assert found["judged"]["commit"] == "c" * 40


def test_the_same_work_gives_the_same_bytes_and_one_final_newline() -> None:
    first = trace("42-k7f3qd", SPEC, PLAN, [Work(1, "aa")], None)
    assert first == trace("42-k7f3qd", SPEC, PLAN, iter([Work(1, "aa")]), None)
    assert first.endswith(b"}\n")
    assert json.loads(first)["judged"] is None
