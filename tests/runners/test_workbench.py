from __future__ import annotations

import json

import pytest

from bot.audit.layout import ROOT
from bot.model.policy import Policy
from bot.model.state import Gate, Step
from runners.agent import first_run
from runners.workspace.git import Git
from runners.workspace.staging import compare
from tests.runners.stage import CODED, FILES, SPEC, SUBTRACT, TASK, Reports, Stage, git, judged, text, write

BRANCH = f"refs/heads/gatewright/{TASK}-subtract"
WIDER = [write("calc.py", FILES["calc.py"] + SUBTRACT), write("Makefile", "all:\n\ttrue\n")]
HOLD = Policy(ci="hold")


@pytest.mark.parametrize(
    ("step", "changes", "done", "run"),
    [
        (Step.SPEC, {}, 0, 0),
        (Step.CODING, {}, 2, 2),
        (Step.QA, {"round": 2}, 0, 1),
        (Step.QA_FIXER, {"round": 2}, 0, 0),
        (Step.QA_FIXER, {"round": 1}, 0, 0),
    ],
)
def test_recordings_know_which_run_comes_next(
    stage: Stage, step: Step, changes: dict[str, int], done: int, run: int
) -> None:
    assert first_run(stage.order(step, **changes), done) == run


def test_a_second_draft_is_the_second_run(stage: Stage) -> None:
    order = stage.order(Step.SPEC, spec=stage.artifact(Gate.SPEC, SPEC, rev=1))
    assert first_run(order, 0) == 1


def is_pushed(stage: Stage) -> bool:
    return (stage.origin / BRANCH).exists()


async def held(stage: Stage) -> Reports:
    stage.record(coding=WIDER)
    reports = await stage.perform(stage.order(Step.CODING))
    stage.take_in(reports)
    return reports


async def test_work_within_its_plan_is_pushed_and_its_scope_recorded(stage: Stage) -> None:
    stage.record(coding=CODED)
    reports = await stage.perform(stage.order(Step.CODING))
    found = reports.data("scope.found")
    assert (found["count"], found.get("findings", [])) == (0, [])
    assert found["commit"] == stage.branch()
    assert not reports.of("work.held")


async def test_what_the_plan_does_not_say_is_kept_back_whole(stage: Stage) -> None:
    reports = await held(stage)
    assert reports.end["outcome"] == "ok", reports.explanation()
    assert not is_pushed(stage)
    found, kept = reports.data("scope.found"), reports.data("work.held")
    rules = [(each["rule"], each["path"]) for each in found["findings"]]
    assert rules == [("outside-plan", "Makefile"), ("build-entry", "Makefile")]
    assert json.loads(reports.blob("scope.found", "findings")) == found["findings"]
    assert kept["commit"] == found["commit"] == reports.end["data"]["commit"]
    assert kept["source_sha256"] == found["source_sha256"] == reports.end["data"]["source_sha256"]
    bundle = stage.folder / "work.bundle"
    bundle.write_bytes(stage.blobs.get(reports.ref("work.held", "bundle")))
    assert git(stage.origin, "bundle", "list-heads", str(bundle)).split()[0] == kept["commit"]


async def test_qa_waits_while_people_have_not_decided_and_pushes_once_they_have(stage: Stage) -> None:
    first = await held(stage)
    head, bundle = first.end["data"]["commit"], first.ref("work.held", "bundle")
    stage.record(qa=[judged("met", "met")])
    waiting = await stage.perform(stage.order(Step.QA, head=head, held_blob=bundle))
    assert (waiting.end["outcome"], waiting.end["data"]["commit"]) == ("ok", head)
    assert not waiting.of("qa.verdict")
    assert not waiting.of("model.call")
    assert not is_pushed(stage)
    order = stage.order(Step.QA, head=head, held_blob=bundle, scope_approved=first.scope())
    decided = await stage.perform(order)
    assert decided.data("qa.verdict")["commit"] == head == stage.branch()
    kinds = decided.kinds()
    assert kinds.index("pushed") < kinds.index("scope.found") < kinds.index("qa.verdict")  # the first push: audit ref
    assert [entry["data"]["ref"] for entry in decided.of("pushed")][-1] == BRANCH


async def test_leave_for_one_scope_is_none_for_another(stage: Stage) -> None:
    first = await held(stage)
    words = (stage.blobs.put(b"Another one."),)
    stage.record(qa_fixer=[write("Makefile", "all:\n\tfalse\n")])
    order = stage.order(
        Step.QA_FIXER, head=first.end["data"]["commit"], held_blob=first.ref("work.held", "bundle"),
        scope_approved=first.scope(), feedback=words,
    )  # fmt: skip
    reports = await stage.perform(order)
    assert reports.end["outcome"] == "ok", reports.explanation()
    assert reports.scope() != first.scope()
    assert reports.data("work.held")["commit"] == reports.end["data"]["commit"]
    assert not is_pushed(stage)


async def test_unfinished_work_is_kept_back_like_any_other(stage: Stage) -> None:
    stage.record(coding=[WIDER[1], text("gives up"), text("gives up again")])
    reports = await stage.perform(stage.order(Step.CODING))
    assert reports.end["data"]["code"] == "GW-CODING-NO-CHANGE"
    assert reports.data("work.held")["commit"] == reports.end["data"]["commit"]
    assert not is_pushed(stage)


async def test_held_work_is_taken_up_on_another_machine(stage: Stage) -> None:
    first = await held(stage)
    head, bundle = first.end["data"]["commit"], first.ref("work.held", "bundle")
    stage.move()
    stage.record(qa=[judged("met", "met")])
    order = stage.order(Step.QA, head=head, held_blob=bundle, scope_approved=first.scope())
    reports = await stage.perform(order)
    assert reports.end["outcome"] == "ok", reports.explanation()
    assert stage.branch() == head


async def test_publishing_pushes_nothing_that_is_undecided(stage: Stage) -> None:
    first = await held(stage)
    order = stage.order(Step.PUBLISH, head=first.end["data"]["commit"], held_blob=first.ref("work.held", "bundle"))
    reports = await stage.perform(order)
    assert (reports.end["outcome"], reports.end["data"]["code"]) == ("fail", "GW-SCOPE-UNDECIDED")
    assert not reports.of("scope.found")
    assert not is_pushed(stage)


async def test_a_persons_commit_is_judged_like_ours_and_is_not_held_where_it_is_on_the_forge(stage: Stage) -> None:
    head = await coded(stage)
    foreign = stage.push({"Makefile": "all:\n"}, head)
    stage.record(qa=[judged("met", "met")])
    reports = await stage.perform(stage.order(Step.QA, head=foreign))
    assert reports.end["outcome"] == "ok", reports.explanation()
    assert reports.data("scope.found")["count"] == 2
    assert not reports.of("qa.verdict")
    assert not reports.of("work.held")
    again = await stage.perform(stage.order(Step.QA, head=foreign, scope_approved=reports.scope()))
    assert again.data("qa.verdict")["commit"] == foreign


@pytest.mark.parametrize("step", [Step.QA, Step.QA_FIXER, Step.PUBLISH])
@pytest.mark.parametrize(
    ("files", "path"),
    [
        ({f".gatewright/tasks/{TASK}/seal.json": "forged"}, f".gatewright/tasks/{TASK}"),
        ({".gatewright/tasks/43-aaaaaa/qa.md": "forged"}, ".gatewright/tasks/43-aaaaaa"),
        ({".Gatewright/tasks/x": "forged"}, ".Gatewright/tasks/x"),
        ({".gitmodules": "[submodule]\n"}, ".gitmodules"),
    ],
)
async def test_a_person_may_not_push_what_an_agent_may_not(
    stage: Stage, step: Step, files: dict[str, str], path: str
) -> None:
    head = await coded(stage)
    foreign = stage.push(files, head)
    reports = await stage.perform(stage.order(step, head=foreign))
    assert reports.end["data"]["code"] == "GW-PATCH-REFUSED"
    assert path in reports.explanation()
    assert stage.branch() == foreign


async def test_where_ci_is_held_every_commit_of_ours_says_so_and_keeps_its_trailers(stage: Stage) -> None:
    stage.record(coding=CODED)
    coding = await stage.perform(stage.order(Step.CODING, policy=HOLD))
    head = coding.end["data"]["commit"]
    stage.take_in(coding)
    await stage.perform(stage.order(Step.PUBLISH, head=head, policy=HOLD))
    for commit in git(stage.origin, "rev-list", f"{stage.base}..{BRANCH}").split():
        message = git(stage.origin, "show", "-s", "--format=%B", commit)
        assert "\n\n[skip ci]\n\nGatewright-Task: " in message
    assert git(stage.origin, "show", "-s", "--format=%(trailers:key=Gatewright-Step,valueonly)", head).strip() == "2"
    again = await stage.perform(stage.order(Step.CODING, head=head, policy=HOLD))
    assert not again.of("commit.made")


async def test_work_from_before_ci_was_held_is_not_pushed_without_its_mark(stage: Stage) -> None:
    first = await held(stage)
    head, bundle = first.end["data"]["commit"], first.ref("work.held", "bundle")
    order = stage.order(Step.QA, head=head, held_blob=bundle, scope_approved=first.scope(), policy=HOLD)
    reports = await stage.perform(order)
    assert reports.end["data"]["code"] == "GW-CI-UNMARKED"
    assert not is_pushed(stage)
    stage.record(qa_fixer=[write("calc.py", FILES["calc.py"] + SUBTRACT + "\n\nminus = subtract\n")])
    order = stage.order(Step.QA_FIXER, head=head, held_blob=bundle, scope_approved=first.scope(), policy=HOLD)
    fixed = await stage.perform(order)
    assert fixed.end["outcome"] == "ok", fixed.explanation()
    assert stage.branch() == fixed.end["data"]["commit"]


async def test_what_was_pushed_before_ci_was_held_may_be_judged(stage: Stage) -> None:
    head = await coded(stage)
    stage.record(qa=[judged("met", "met")])
    reports = await stage.perform(stage.order(Step.QA, head=head, policy=HOLD))
    assert reports.data("qa.verdict")["commit"] == head


@pytest.mark.parametrize("policy", [Policy(), HOLD])
async def test_evidence_on_its_own_ref_never_starts_ci(stage: Stage, policy: Policy) -> None:
    await stage.perform(stage.order(Step.ARCHIVE, policy=policy))
    message = git(stage.origin, "show", "-s", "--format=%B", f"refs/gatewright/audit/{TASK}")
    assert "\n\n[skip ci]\n\n" in message


async def test_without_a_hold_messages_say_nothing_about_ci(stage: Stage) -> None:
    await coded(stage)
    assert "[skip ci]" not in git(stage.origin, "log", "--format=%B", BRANCH)


async def test_secrets_do_not_leave_in_findings(stage: Stage) -> None:
    """A person pushed it: an agent's would not have been committed (test_leaks)."""
    link = "https://user:ghp_abcdefghijklmnopqrstuvwxyz0123456789@h.io/"
    head = stage.push({"calc.py": FILES["calc.py"] + f"\nURL = '{link}'\n"}, await coded(stage))
    reports = await stage.perform(stage.order(Step.QA, head=head))
    assert "names h.io" in reports.blob("scope.found", "findings")
    assert "ghp_" not in reports.blob("scope.found", "findings")


async def test_the_diff_that_a_model_is_shown_holds_no_secrets(stage: Stage) -> None:
    token = "ghp_" + "a1B2c3D4e5" * 3 + "f6G7h8"
    head = stage.push({"calc.py": FILES["calc.py"] + f"\nTOKEN = '{token}'\n"}, await coded(stage))
    stage.record(qa=[judged("met", "met")])
    waiting = await stage.perform(stage.order(Step.QA, head=head))
    reports = await stage.perform(stage.order(Step.QA, head=head, scope_approved=waiting.scope()))
    asked = reports.blob("model.call", "prompt")
    assert "TOKEN = " in asked
    assert token not in asked


async def test_the_diff_that_a_model_is_shown_is_the_work_and_not_the_evidence(stage: Stage) -> None:
    """Evidence comes first by its name, and would fill all the room there is."""
    evidence = {f".gatewright/tasks/{TASK}/audit/{number:04d}.jsonl": "x" * 30_000 + "\n" for number in range(4)}
    base = stage.branch("main")
    head = stage.push({**evidence, "calc.py": FILES["calc.py"] + "\nWORK = 1\n"}, base)
    git_dir = Git(stage.origin)
    whole = await compare(git_dir, base, head, [])
    shown = await compare(git_dir, base, head, [], without=ROOT)
    assert len(whole.files) == 5
    assert [change.path for change in shown.files] == ["calc.py"]
    assert "WORK = 1" in shown.text
    assert "xxx" not in shown.text


async def coded(stage: Stage) -> str:
    stage.record(coding=CODED)
    reports = await stage.perform(stage.order(Step.CODING))
    stage.take_in(reports)
    commit: str = reports.end["data"]["commit"]
    return commit
