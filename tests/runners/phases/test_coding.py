from __future__ import annotations

import msgspec

from bot.model.state import Step
from tests.runners.stage import CODED, FILES, SUBTRACT, TASK, Stage, git, text, write

BRANCH = f"gatewright/{TASK}-subtract"


async def test_every_step_becomes_one_commit_with_trailers_and_the_branch_is_pushed(stage: Stage) -> None:
    stage.record(coding=CODED)
    reports = await stage.perform(stage.order(Step.CODING))
    assert reports.end["outcome"] == "ok", reports.explanation()
    made = reports.of("commit.made")
    assert [entry["data"].get("step") for entry in made] == [1, 2]
    assert made[1]["data"]["parent"] == made[0]["data"]["commit"]
    assert made[0]["data"]["parent"] == stage.base
    assert stage.branch() == made[1]["data"]["commit"] == reports.end["data"]["commit"]
    assert reports.end["data"]["source_sha256"] == made[1]["data"]["source_sha256"]
    message = git(stage.origin, "show", "-s", "--format=%B", f"{BRANCH}~1")
    assert message.startswith("Add subtract\n\nBeside `add`.\n\nServes AC-1.\n\n")
    assert message.endswith(f"Gatewright-Task: {TASK}\nGatewright-Step: 1\nGatewright-Model: scripted:story")
    assert git(stage.origin, "show", f"{BRANCH}:calc.py") == (FILES["calc.py"] + SUBTRACT).strip()


async def test_a_commit_is_announced_then_its_files_then_named(stage: Stage) -> None:
    stage.record(coding=CODED)
    reports = await stage.perform(stage.order(Step.CODING))
    kinds = [kind for kind in reports.kinds() if kind.startswith(("commit", "file", "progress"))]
    step = ["commit.intent", "file.change", "commit.made", "progress"]
    assert kinds == ["progress", *step, *step]
    intent, made = reports.of("commit.intent")[0]["data"], reports.of("commit.made")[0]["data"]
    assert (intent["tree"], intent["source_sha256"]) == (made["tree"], made["source_sha256"])
    change = reports.of("file.change")[0]["data"]
    assert (change["path"], change["op"]) == ("calc.py", "modify")
    assert change["old_sha256"] != change["new_sha256"]
    assert [entry["data"]["done"] for entry in reports.of("progress")] == [0, 1, 2]


async def test_coding_goes_on_after_the_last_step_that_has_a_commit(stage: Stage) -> None:
    stage.record(coding=[CODED[0], text("gives up"), text("gives up again")])
    first = await stage.perform(stage.order(Step.CODING))
    assert first.end["data"]["code"] == "GW-CODING-NO-CHANGE"
    head = first.end["data"]["commit"]
    assert stage.branch() == head
    stage.record(coding=CODED)
    second = await stage.perform(stage.order(Step.CODING, head=head))
    assert second.end["outcome"] == "ok", second.explanation()
    assert [entry["data"]["step"] for entry in second.of("commit.made")] == [2]
    assert second.of("commit.made")[0]["data"]["parent"] == head


async def test_work_that_was_recorded_and_never_pushed_is_taken_up_on_this_machine(stage: Stage) -> None:
    stage.record(coding=[CODED[0], text("gives up"), text("gives up again")])
    first = await stage.perform(stage.order(Step.CODING))
    git(stage.origin, "update-ref", "-d", f"refs/heads/{BRANCH}")
    stage.record(coding=CODED)
    second = await stage.perform(stage.order(Step.CODING, head=first.end["data"]["commit"]))
    assert [entry["data"]["step"] for entry in second.of("commit.made")] == [2]


async def test_a_step_that_is_satisfied_already_needs_no_commit_but_a_reason(stage: Stage) -> None:
    stage.record(
        coding=[write("calc.py", FILES["calc.py"] + SUBTRACT), text("ok"), text("NO CHANGE NEEDED: tests cover it")]
    )
    reports = await stage.perform(stage.order(Step.CODING))
    assert reports.end["outcome"] == "ok", reports.explanation()
    assert len(reports.of("commit.made")) == 1
    assert reports.blob("progress", "no_change") == "tests cover it"
    assert reports.of("progress")[-1]["data"]["done"] == 2
    assert "Nothing in the worktree has changed." in reports.blob("model.call", "prompt")


async def test_what_may_not_be_committed_is_given_back_once_and_then_refused(stage: Stage) -> None:
    command = "mkdir -p .gatewright/tasks/x && echo forged > .gatewright/tasks/x/seal"
    planted = [{"calls": [{"tool": "run", "arguments": {"command": command}}]}, {"text": "Done."}]
    stage.record(coding=[planted, text("I keep it.")])
    reports = await stage.perform(stage.order(Step.CODING))
    assert reports.end["data"]["code"] == "GW-PATCH-REFUSED"
    assert ".gatewright/tasks/x/seal" in reports.explanation()
    assert not reports.of("commit.made")
    assert not [entry for entry in reports.of("pushed") if entry["data"]["ref"].startswith("refs/heads/")]


async def test_a_time_out_keeps_unfinished_work_on_the_branch(stage: Stage) -> None:
    slow = [
        {"calls": [{"tool": "write", "arguments": {"path": "calc.py", "content": "half = 1\n"}}]},
        {"calls": [{"tool": "run", "arguments": {"command": "sleep 60"}}]},
        {"text": "never"},
    ]
    stage.record(coding=[slow])
    reports = await stage.perform(stage.order(Step.CODING, wall_seconds=3.0))
    assert (reports.end["outcome"], reports.end["data"]["code"]) == ("timeout", "GW-PHASE-TIMEOUT")
    made = reports.data("commit.made")
    assert made.get("step", 0) == 0
    assert stage.branch() == made["commit"] == reports.end["data"]["commit"]
    assert git(stage.origin, "show", f"{BRANCH}:calc.py") == "half = 1"
    assert "budget.phase_minutes" in reports.explanation()
    stage.record(coding=CODED)
    again = await stage.perform(stage.order(Step.CODING, head=made["commit"]))
    assert "Carry out step 1" in again.blobs.get(again.of("model.call")[0]["refs"][0]["commit"]).decode()


async def test_a_moved_branch_is_never_overwritten(stage: Stage) -> None:
    git(stage.origin, "update-ref", f"refs/heads/{BRANCH}", stage.base)
    tree = git(stage.origin, "rev-parse", f"{stage.base}^{{tree}}")
    foreign = git(stage.origin, "commit-tree", tree, "-p", stage.base, "-m", "Somebody else")
    git(stage.origin, "update-ref", f"refs/heads/{BRANCH}", foreign)
    stage.record(coding=CODED)
    reports = await stage.perform(stage.order(Step.CODING))
    assert reports.end["data"]["code"] == "GW-GIT-REJECTED"
    assert stage.branch() == foreign


async def test_the_sandbox_is_on_record(stage: Stage) -> None:
    stage.record(coding=CODED)
    order = stage.order(Step.CODING)
    reports = await stage.perform(order)
    assert msgspec.convert(reports.data("gate"), dict) == {"rule": "sandbox", "result": "bwrap", "attempt": 1}
