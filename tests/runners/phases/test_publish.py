from __future__ import annotations

import json

from bot.audit.chain import walk
from bot.model.state import Step
from tests.runners.phases.test_qa import coded
from tests.runners.stage import PLAN, SPEC, TASK, Stage, git, judged

FOLDER = f".gatewright/tasks/{TASK}"


async def test_the_evidence_is_committed_on_top_of_the_work_and_pushed(stage: Stage) -> None:
    head = await coded(stage)
    stage.record(qa=[judged("met", "met")])
    qa = await stage.perform(stage.order(Step.QA, head=head))
    report = next(ref["commit"] for ref in qa.of("qa.verdict")[0]["refs"] if ref["name"] == "report")
    reports = await stage.perform(stage.order(Step.PUBLISH, head=head, verdict_blob=report))
    assert reports.end["outcome"] == "ok", reports.explanation()
    made = reports.data("commit.made")
    assert made["parent"] == head
    assert stage.branch() == made["commit"] == reports.end["data"]["commit"]
    assert made["source_sha256"] == qa.data("qa.verdict")["source_sha256"]
    assert reports.of("pushed")[-1]["data"]["size"] == 1

    def read(path: str) -> str:
        return git(stage.origin, "show", f"{made['commit']}:{FOLDER}/{path}") + "\n"

    assert (read("spec.md"), read("plan.md")) == (SPEC, PLAN)
    assert read("qa.md") == qa.blob("qa.verdict", "qa.md").strip("\n") + "\n"
    trace = json.loads(read("trace.json"))
    assert [len(step["commits"]) for step in trace["steps"]] == [1, 1]
    assert trace["criteria"][0] == {
        "id": "AC-1", "text": "`subtract(5, 3)` answers 2.", "steps": [1, 2], "met": "met", "evidence": "calc.py:1",
    }  # fmt: skip
    lines = read("audit/0000.jsonl").encode().splitlines()
    assert [record.kind for record, _ in walk(lines, stage.genesis)] == ["task.opened"]


async def test_agents_never_see_the_evidence_of_earlier_rounds(stage: Stage) -> None:
    head = await coded(stage)
    published = await stage.perform(stage.order(Step.PUBLISH, head=head))
    stage.take_in(published)
    look = [{"calls": [{"tool": "run", "arguments": {"command": "find . -path '*tasks*'; echo end"}}]}]
    stage.record(qa_fixer=[[*look, {"text": "no"}], [{"text": "no"}]])
    order = stage.order(Step.QA_FIXER, head=published.end["data"]["commit"])
    reports = await stage.perform(order)
    heard = [json.loads(stage.blobs.get(entry["refs"][0]["commit"]))[-1]["text"] for entry in reports.of("model.call")]
    assert any("end" in text for text in heard[1:2])
    assert not any(FOLDER in text for text in heard[1:2])
