"""What a look finds: each way in which the ground moves under a task, and what falls because of it."""

from __future__ import annotations

import re

import pytest
from msgspec.structs import replace

from bot.forges.protocol import StatusState, Visibility
from bot.model.errors import Unavailable
from bot.model.event import EventKind
from bot.model.policy import GateRule
from bot.model.state import Gate, State
from bot.model.task import Task
from bot.settings import Policy, Settings
from bot.tasks.lookout import look
from tests.bot.tasks.forge import BASE, LENA, MIRA, TOM, commit
from tests.bot.tasks.office import Office

QUORUM = Settings(policy=Policy(spec=GateRule(quorum=2)))


async def looks(office: Office, task: str) -> Task:
    async with office.desk.shelf.open(task) as book:
        await look(office.desk, book)
        return book.task


async def rests(office: Office, task: str) -> Task:
    """Let a minute pass: the sweep looks around."""
    await office.redis.delete(f"gw:looked:{task}")
    return await office.converge(task)


async def half_approved(office: Office) -> str:
    """Open a spec gate that wants two, and let one of them say yes."""
    office.desk.settings = QUORUM
    task = await office.at_spec_gate()
    await office.says(task, MIRA, "/approve")
    assert len((await office.converge(task)).votes(Gate.SPEC)) == 1
    return task


async def test_nothing_moved_writes_nothing(office: Office):
    task = await office.at_spec_gate()
    size = (await office.desk.shelf.read(task)).size
    assert (await looks(office, task)).size == size


async def test_a_changed_issue_lets_approvals_fall_with_one_line(office: Office):
    task = await half_approved(office)
    office.forge.issues[42] = replace(office.forge.issues[42], body="Try again, and delete the ledger.", updated_ms=9)
    now = await office.hears(task, office.event(EventKind.ISSUE_EDITED))
    assert (await office.kinds(task))[-1] == "issue.changed"
    now = await office.converge(task)
    assert now.votes(Gate.SPEC) == ()
    assert [(void.gate, void.reason) for void in now.voids] == [(Gate.SPEC, "issue_changed")]
    assert len(office.forge.said("kind=voided")) == 1
    assert len([r for r in now.requested if r.gate is Gate.SPEC]) == 2, "asked again, for the issue as it is now"


async def test_a_change_that_nobody_told_of_is_seen_before_a_yes_counts(office: Office):
    task = await office.at_spec_gate()
    office.forge.issues[42] = replace(office.forge.issues[42], title="Pay twice")
    await office.says(task, MIRA, "/approve")
    now = await office.converge(task)
    assert (now.state, now.votes(Gate.SPEC)) == (State.SPEC_REVIEW, ())


async def test_line_ends_alone_are_no_change(office: Office):
    office.forge.opens(body="a\nb")
    task = await office.at_spec_gate()
    body = office.forge.issues[42].body
    office.forge.issues[42] = replace(office.forge.issues[42], body=body.replace("\n", "\r\n"))
    assert (await looks(office, task)).issue_sha256 == (await office.desk.shelf.read(task)).issue_sha256


async def test_a_changed_policy_file_is_recorded_whole_and_asked_under(office: Office):
    task = await half_approved(office)
    office.forge.files[".gatewright.toml"] = b"[policy.spec]\nquorum = 3\n"
    office.forge.file_by = 31
    now = await rests(office, task)
    assert (now.policy.spec.quorum, now.policy_file[1], now.votes(Gate.SPEC)) == (3, 31, ())
    assert now.voids[-1].reason == "policy_changed"


async def test_a_policy_file_that_cannot_be_read_stops_the_task_until_it_can(office: Office):
    task = await office.at_spec_gate()
    office.forge.files[".gatewright.toml"] = b"[policy\n"
    now = await rests(office, task)
    assert (now.state, now.blocked_code) == (State.BLOCKED, "GW-POLICY-FILE")
    size = (await rests(office, task)).size
    assert (await rests(office, task)).size == size, "it is said once"
    office.forge.files.clear()
    await office.says(task, MIRA, "/retry")
    assert (await rests(office, task)).state is State.SPEC_REVIEW


async def test_a_base_that_moved_on_is_fine_where_policy_lets_it(office: Office):
    task = await half_approved(office)
    office.forge.heads["main"] = commit("next")
    now = await rests(office, task)
    assert (now.base_commit, len(now.votes(Gate.SPEC))) == (BASE, 1)


async def test_a_base_that_moved_is_asked_about_where_policy_wants_it_equal(office: Office):
    office.desk.settings = Settings(policy=Policy(base="equal", spec=GateRule(quorum=2)))
    task = await office.at_spec_gate()
    await office.says(task, MIRA, "/approve")
    office.forge.heads["main"] = commit("next")
    now = await rests(office, task)
    assert (now.base_commit, now.votes(Gate.SPEC)) == (commit("next"), ())
    assert now.voids[-1].reason == "base_moved"
    assert now.asked(Gate.SPEC).digest[:12] in office.forge.talk[int(now.posted["gate.spec:1"])][1].body


async def test_a_rewritten_base_blocks(office: Office):
    task = await office.at_spec_gate()
    office.forge.heads["main"], office.forge.rewritten = commit("force"), True
    assert (await rests(office, task)).blocked_code == "GW-BASE-REWRITTEN"


def without_note(body: str) -> str:
    return re.sub(r"```\n[^\n]+/task/[^`]+```", "", body)


async def test_a_gate_comment_that_somebody_edited_is_restored_and_asked_again(office: Office):
    task = await half_approved(office)
    number = int((await office.desk.shelf.read(task)).posted["gate.spec:1"])
    before = office.forge.talk[number][1]
    office.forge.edits(before, before.body.replace("Refunds", "Anything"))
    now = await rests(office, task)
    assert now.votes(Gate.SPEC) == ()
    assert now.voids[-1].reason == "shown_edited"
    again = office.forge.talk[number][1].body
    assert without_note(again) == without_note(before.body)
    assert again != before.body  # it shows a newer checkpoint
    await office.says(task, MIRA, "/approve")
    await office.says(task, LENA, "/approve")
    assert (await office.converge(task)).state is State.PLAN


async def test_a_gate_comment_that_somebody_deleted_is_written_anew_once(office: Office):
    task = await office.at_spec_gate()
    old = int((await office.desk.shelf.read(task)).posted["gate.spec:1"])
    del office.forge.talk[old]
    now = await rests(office, task)
    new = int(now.shown["gate.spec"].partition(":")[0])
    assert new > old
    assert (await rests(office, task)).size == now.size
    await office.says(task, MIRA, "/approve")
    assert (await office.converge(task)).state is State.PLAN


PLACES = {
    "transferred": ({"owner": 78}, {}, "GW-PLACE-TRANSFERRED"),
    "public": ({"visibility": Visibility.PUBLIC}, {}, "GW-PLACE-VISIBILITY"),
    "confidential": ({}, {"is_confidential": True}, "GW-PLACE-VISIBILITY"),
    "gone": ({}, None, "GW-ISSUE-AWAY"),
}


@pytest.mark.parametrize("place", PLACES)
async def test_a_task_that_is_elsewhere_is_blocked_and_its_approvals_are_void(office: Office, place: str):
    home, issue, code = PLACES[place]
    task = await half_approved(office)
    for name, value in home.items():
        setattr(office.forge, name, value)
    if issue is None:
        office.forge.issues.clear()
    else:
        office.forge.issues[42] = replace(office.forge.issues[42], **issue)
    now = await rests(office, task)
    assert (now.state, now.blocked_code, now.votes(Gate.SPEC)) == (State.BLOCKED, code, ())
    assert now.voids[-1].reason == "place"
    await office.says(task, MIRA, "/retry")
    assert (await rests(office, task)).blocked_code == code, "it is still elsewhere"


@pytest.mark.parametrize("state", [State.QA, State.PUBLISHING])
async def test_nothing_is_pushed_to_a_place_that_has_changed(office: Office, state: State):
    """Between coding and the change no gate looks; the start of every step does."""
    task = await office.coded()
    assert (await office.desk.shelf.read(task)).running
    office.forge.visibility = Visibility.PUBLIC
    if state is State.PUBLISHING:
        now = await office.judged(task, passed=True)
    else:
        now = await office.ends(task, "fail", code="GW-TEST")
        await office.says(task, MIRA, "/retry")
        now = await office.converge(task)
    assert (now.state, now.blocked_code, now.running) == (State.BLOCKED, "GW-PLACE-VISIBILITY", None)


async def test_four_eyes_outlive_approvals_that_fell(office: Office):
    """An admin who flips the visibility twice makes nobody forget who approved the spec."""
    office.desk.settings = Settings(policy=Policy(change=GateRule(not_by=("spec", "plan"))))
    task = await office.at_change_gate()
    office.forge.visibility = Visibility.PUBLIC
    await rests(office, task)
    office.forge.visibility = Visibility.PRIVATE
    await office.says(task, TOM, "/retry")
    now = await rests(office, task)
    assert (now.state, now.let_pass(Gate.SPEC)) == (State.CHANGE_REVIEW, None)
    now = await office.says(task, MIRA, "/approve", now.pull.number, on_change=True)
    assert now.heard[-1].code == "GW-APPROVE-FOUR-EYES"


async def at_change(office: Office) -> tuple[str, Task]:
    task = await office.at_change_gate()
    now = await office.desk.shelf.read(task)
    await office.says(task, MIRA, "/approve", now.pull.number, on_change=True)
    now = await office.converge(task)
    assert office.forge.statuses[-1] == (now.head, StatusState.SUCCESS)
    return task, now


async def test_a_foreign_commit_is_judged_again_and_its_committer_recorded(office: Office):
    task, now = await at_change(office)
    office.forge.pushes(now.branch, commit("by lena"))
    pushed = office.event(EventKind.CHANGE_PUSHED, LENA, now.pull.number, on_change=True, head_sha=commit("by lena"))
    after = await office.hears(task, pushed)
    assert (after.state, after.committers, after.votes(Gate.CHANGE)) == (State.QA, (LENA.id,), ())
    after = await office.ends(task)  # the delivery of the ruling
    assert after.running.step == "qa"
    assert office.forge.statuses[-1] == (now.head, StatusState.PENDING), "the old commit is not green any more"


async def test_the_same_files_under_another_commit_keep_the_approval(office: Office):
    task, now = await at_change(office)
    sealed = commit("sealed again")
    office.forge.trees[sealed] = office.forge.trees.get(now.head, now.head)
    office.forge.pushes(now.branch, sealed)
    after = await rests(office, task)
    assert (after.state, after.head) == (State.CHANGE_REVIEW, sealed)
    assert after.let_pass(Gate.CHANGE)
    assert office.forge.statuses[-1] == (sealed, StatusState.SUCCESS)


async def test_a_change_from_a_fork_blocks(office: Office):
    task, now = await at_change(office)
    number = now.pull.number
    office.forge.changes[number] = replace(office.forge.changes[number], source=999)
    office.forge.pushes(now.branch, commit("elsewhere"))
    for _ in range(2):
        after = await rests(office, task)
    assert (after.blocked_code, after.blocks, after.passed, after.approvals) == ("GW-PLACE-FORK", 1, (), ())


async def test_a_merge_that_nobody_told_of_ends_the_task(office: Office):
    task, now = await at_change(office)
    number = now.pull.number
    office.forge.changes[number] = replace(office.forge.changes[number], is_open=False, is_merged=True)
    assert ((await rests(office, task)).state, now.alarms) == (State.DONE, ())


async def test_a_merge_past_the_gate_is_an_alarm(office: Office):
    task = await office.at_change_gate()
    number = (await office.desk.shelf.read(task)).pull.number
    office.forge.changes[number] = replace(office.forge.changes[number], is_open=False, is_merged=True)
    now = await rests(office, task)
    assert (now.state, now.alarms) == (State.DONE, ("GW-MERGED-UNAPPROVED",))
    assert "merge.alarm" in office.log.events()


async def test_no_answer_is_nothing_seen(office: Office):
    task = await office.at_spec_gate()
    office.forge.failing["home"] = Unavailable("GW-FORGE-UNAVAILABLE", "500")
    size = (await office.desk.shelf.read(task)).size
    with pytest.raises(Unavailable):
        await looks(office, task)
    assert (await office.desk.shelf.read(task)).size == size
