from __future__ import annotations

import json

from bot.model.state import Step
from tests.runners.phases.test_qa import coded
from tests.runners.stage import CODED, FILES, SUBTRACT, Stage, git, judged, text, write

WRONG = FILES["calc.py"] + SUBTRACT.replace("a - b", "a + b")


async def failed(stage: Stage) -> tuple[str, str]:
    head = await coded(stage, write("calc.py", WRONG), CODED[1])
    stage.record(qa=[judged("not_met", "met")])
    reports = await stage.perform(stage.order(Step.QA, head=head))
    return head, next(ref["commit"] for ref in reports.of("qa.verdict")[0]["refs"] if ref["name"] == "report")


async def test_the_fixer_gets_what_qa_found_and_makes_one_commit(stage: Stage) -> None:
    head, report = await failed(stage)
    stage.record(qa_fixer=[CODED[0]])
    reports = await stage.perform(stage.order(Step.QA_FIXER, head=head, verdict_blob=report, round=2))
    assert reports.end["outcome"] == "ok", reports.explanation()
    made = reports.data("commit.made")
    assert (made["parent"], stage.branch()) == (head, made["commit"])
    message = git(stage.origin, "show", "-s", "--format=%B", made["commit"])
    assert message.startswith("Fix what QA found in round 1\n")
    assert "Gatewright-Step: fix-2" in message
    asked = json.loads(reports.blobs.get(reports.of("model.call")[0]["refs"][0]["commit"]))[-1]["text"]
    assert "FAILED (failures=1)" in asked
    assert "AC-1 not met: calc.py:1" in asked
    assert "AC-2" not in asked.split("Criteria that QA did not find met:")[1]


async def test_a_persons_words_reach_the_fixer(stage: Stage) -> None:
    head = await coded(stage)
    words = (stage.blobs.put(b"Name it minus."),)
    stage.record(qa_fixer=[write("calc.py", FILES["calc.py"] + SUBTRACT + "\n\nminus = subtract\n")])
    reports = await stage.perform(stage.order(Step.QA_FIXER, head=head, feedback=words))
    assert "Name it minus." in reports.blobs.get(reports.of("model.call")[0]["refs"][0]["commit"]).decode()
    assert git(stage.origin, "show", "-s", "--format=%s", stage.branch()) == "Change what review asked for"


async def test_a_fixer_that_changes_nothing_fails(stage: Stage) -> None:
    head, report = await failed(stage)
    stage.record(qa_fixer=[text("Looks fine."), text("Still fine.")])
    reports = await stage.perform(stage.order(Step.QA_FIXER, head=head, verdict_blob=report, round=2))
    assert reports.end["data"]["code"] == "GW-FIXING-NO-CHANGE"
    assert stage.branch() == head
