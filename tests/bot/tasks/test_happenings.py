"""An event says where to look; what stands on the forge now decides."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from bot.model.event import EventKind
from bot.model.state import Gate, State
from bot.model.task import Task
from tests.bot.tasks.forge import MIRA, STRANGER, commit
from tests.bot.tasks.office import Office


def issue(office: Office, **changes: Any) -> None:
    office.forge.issues[42] = replace(office.forge.issues[42], **changes)


async def change(office: Office, task: str, kind: EventKind, **changes: Any) -> Task:
    """Change the change on the forge, and tell of it."""
    number = (await office.desk.shelf.read(task)).pull.number
    office.forge.changes[number] = replace(office.forge.changes[number], **changes)
    return await office.hears(task, office.event(kind, MIRA, number, on_change=True))


async def test_a_label_that_was_taken_off_cancels(office: Office):
    task = await office.opened()
    issue(office, labels=())
    now = await office.hears(task, office.event(EventKind.UNLABELED, MIRA, label="Gatewright"))
    assert (now.state, now.close_reason) == (State.CANCELLED, "the label was removed")
    assert (await office.records(task))[-1].actor.id == "github:7"


async def test_a_label_that_is_back_cancels_nothing(office: Office):
    task = await office.opened()
    now = await office.hears(task, office.event(EventKind.UNLABELED, label="gatewright"))
    assert now.state is State.SPEC


async def test_another_label_means_nothing_and_nothing_is_looked_up(office: Office):
    task = await office.opened()
    asked = office.forge.calls["issue"]
    assert (await office.hears(task, office.event(EventKind.UNLABELED, label="bug"))).state is State.SPEC
    assert office.forge.calls["issue"] == asked


@pytest.mark.parametrize(("is_open", "state"), [(False, State.CANCELLED), (True, State.SPEC)])
async def test_an_issue_that_is_closed_cancels_unless_it_was_opened_again(office: Office, is_open: bool, state: State):
    task = await office.opened()
    issue(office, is_open=is_open)
    assert (await office.hears(task, office.event(EventKind.ISSUE_CLOSED))).state is state


async def test_an_issue_that_a_merge_closed_leaves_the_end_to_the_merge(office: Office):
    task = await office.at_change_gate()
    number = (await office.desk.shelf.read(task)).pull.number
    office.forge.changes[number] = replace(office.forge.changes[number], is_open=False, is_merged=True)
    issue(office, is_open=False)
    assert (await office.hears(task, office.event(EventKind.ISSUE_CLOSED))).state is State.CHANGE_REVIEW


async def test_an_issue_that_is_locked_blocks_once(office: Office):
    task = await office.opened()
    issue(office, is_locked=True)
    for _ in range(2):
        now = await office.hears(task, office.event(EventKind.ISSUE_AWAY))
    assert (now.state, now.blocked_code, now.blocks) == (State.BLOCKED, "GW-ISSUE-AWAY", 1)


async def test_an_issue_that_is_gone_blocks_and_one_that_is_back_does_not(office: Office):
    task = await office.opened()
    assert (await office.hears(task, office.event(EventKind.ISSUE_AWAY))).state is State.SPEC
    del office.forge.issues[42]
    assert (await office.hears(task, office.event(EventKind.ISSUE_CLOSED))).state is State.SPEC
    assert (await office.hears(task, office.event(EventKind.ISSUE_AWAY))).state is State.BLOCKED


async def test_a_change_that_is_closed_ends_the_task_and_one_that_is_open_again_does_not(office: Office):
    task = await office.at_change_gate()
    assert (await change(office, task, EventKind.CHANGE_CLOSED)).state is State.CHANGE_REVIEW
    now = await change(office, task, EventKind.CHANGE_CLOSED, is_open=False)
    assert (now.state, now.close_reason) == (State.REJECTED, "the change was closed without a merge")


async def test_a_change_that_is_merged_is_the_end_that_was_wanted(office: Office):
    task = await office.at_change_gate()
    now = await change(office, task, EventKind.CHANGE_MERGED, is_open=False, is_merged=True)
    assert (now.state, now.close_reason) == (State.DONE, "merged")


async def test_a_merge_counts_as_one_even_where_the_event_says_closed(office: Office):
    task = await office.at_change_gate()
    assert (await change(office, task, EventKind.CHANGE_CLOSED, is_open=False, is_merged=True)).state is State.DONE


async def test_a_merge_in_the_middle_of_fixing_waits_for_a_person(office: Office):
    task = await office.at_change_gate()
    number = (await office.desk.shelf.read(task)).pull.number
    assert (await office.says(task, MIRA, "/fix the wording", number, on_change=True)).state is State.FIXING
    now = await change(office, task, EventKind.CHANGE_MERGED, is_open=False, is_merged=True)
    assert (now.state, now.blocked_code) == (State.BLOCKED, "GW-MERGED-EARLY")


async def test_a_push_over_an_approved_change_takes_the_approval_back(office: Office):
    task = await office.at_change_gate()
    number = (await office.desk.shelf.read(task)).pull.number
    await office.says(task, MIRA, "/approve", number, on_change=True)
    assert (await office.converge(task)).let_pass(Gate.CHANGE)
    pushed = office.event(EventKind.CHANGE_PUSHED, STRANGER, number, on_change=True)
    assert (await office.hears(task, pushed)).approval(Gate.CHANGE), "the head is what was judged"
    office.forge.pushes(office.forge.changes[number].branch, commit("somebody's"))
    pushed = replace(pushed, head_sha=commit("somebody's"))
    now = await office.hears(task, pushed)
    assert (now.state, now.approval(Gate.CHANGE)) == (State.QA, None), "QA judges a person's commit too"
    assert [(void.gate, void.reason) for void in now.voids] == [(Gate.CHANGE, "pushed")]
    assert now.committers == (STRANGER.id,)


async def test_a_change_that_is_not_ours_means_nothing(office: Office):
    task = await office.at_change_gate()
    other = office.event(EventKind.CHANGE_CLOSED, MIRA, 7, on_change=True)
    assert (await office.hears(task, other)).state is State.CHANGE_REVIEW


async def test_what_happens_after_the_end_means_nothing(office: Office):
    task = await office.at_change_gate()
    size = (await change(office, task, EventKind.CHANGE_MERGED, is_open=False, is_merged=True)).size
    issue(office, is_open=False, labels=(), is_locked=True)
    for kind in (EventKind.ISSUE_CLOSED, EventKind.ISSUE_AWAY, EventKind.UNLABELED):
        assert (await office.hears(task, office.event(kind, label="gatewright"))).size == size
