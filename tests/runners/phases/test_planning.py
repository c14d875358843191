from __future__ import annotations

import hashlib

from bot.model.state import Step
from tests.runners.stage import PLAN, TASK, Stage, git, text


async def test_a_plan_is_drafted_from_the_spec_after_the_journal_was_archived(stage: Stage) -> None:
    stage.record(planning=[text(PLAN)])
    reports = await stage.perform(stage.order(Step.PLANNING))
    assert reports.end["outcome"] == "ok", reports.explanation()
    assert reports.data("plan.set")["plan_sha256"] == hashlib.sha256(PLAN.encode()).hexdigest()
    assert reports.kinds().index("pushed") < reports.kinds().index("model.call")
    pushed = reports.data("pushed")
    assert (pushed["ref"], pushed["size"]) == (f"refs/gatewright/audit/{TASK}", 1)
    listed = git(stage.origin, "ls-tree", "-r", "--name-only", pushed["ref"]).splitlines()
    assert f".gatewright/tasks/{TASK}/audit/0000.jsonl" in listed
    assert f".gatewright/tasks/{TASK}/spec.md" in listed


async def test_a_plan_that_leaves_a_criterion_out_is_given_back(stage: Stage) -> None:
    stage.record(planning=[text(PLAN.replace("AC-1, AC-2", "AC-1")), text(PLAN)])
    reports = await stage.perform(stage.order(Step.PLANNING))
    assert reports.end["outcome"] == "ok"
    assert "no step serves AC-2" in reports.blob("model.call", "prompt")
