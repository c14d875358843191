from __future__ import annotations

import asyncio

import pytest
from msgspec.structs import replace

from bot.audit import kinds
from bot.audit.chain import genesis
from bot.audit.record import data_of
from bot.model.errors import Unavailable
from bot.model.event import Actor
from bot.model.state import State
from bot.model.task import TASK_ID
from bot.tasks.opening import BODY_LIMIT, open_task
from tests.bot.tasks.forge import BASE, MIRA, OTHER_BOT, REPO, STRANGER, TOM
from tests.bot.tasks.office import Office


async def test_a_label_opens_a_task_with_what_was_asked_of_whom_and_where(office: Office):
    office.forge.opens(42, "gatewright", body="Try again.")
    task = await open_task(office.desk, office.index, office.labelled(MIRA))
    assert TASK_ID.match(task)
    records = await office.records(task)
    assert [r.kind for r in records] == ["task.opened", "issue.snapshot", "policy.changed", "profile.set"]
    opened = data_of(records[0])
    assert isinstance(opened, kinds.TaskOpened)
    assert (opened.issue, opened.labeller, opened.base_commit, opened.path) == (42, MIRA.id, BASE, "pay/core")
    assert records[0].prev == genesis("gatewright", REPO.key, task)
    assert opened.vkey == office.desk.key.vkey("gatewright")
    now = await office.desk.shelf.read(task)
    assert (now.state, office.desk.snapshot(now.issue_blob).body) == (State.RECEIVED, "Try again.")


@pytest.mark.parametrize(
    "changes",
    [{"is_open": False}, {"is_locked": True}, {"labels": ()}, {"labels": ("gatewright-later",)}],
)
async def test_an_issue_that_no_longer_wants_it_opens_nothing(office: Office, changes: dict):
    office.forge.issues[42] = replace(office.forge.opens(), **changes)
    assert await open_task(office.desk, office.index, office.labelled()) is None
    assert await office.index.all_tasks() == []
    assert "label.stale" in office.log.events()


async def test_an_issue_that_is_gone_opens_nothing(office: Office):
    assert await open_task(office.desk, office.index, office.labelled()) is None


@pytest.mark.parametrize("who", [STRANGER, OTHER_BOT, Actor(404, "nobody")])
async def test_people_without_the_role_and_machines_open_nothing(office: Office, who: Actor):
    office.forge.opens()
    assert await open_task(office.desk, office.index, office.labelled(who)) is None
    assert await office.index.all_tasks() == []


async def test_labels_are_told_apart_without_regard_to_case(office: Office):
    office.forge.opens(42, "GateWright")
    assert await open_task(office.desk, office.index, office.labelled()) is not None


async def test_a_label_that_is_told_twice_opens_one_task(office: Office, twin: Office):
    office.forge.opens()
    opened = await asyncio.gather(*(open_task(one.desk, one.index, one.labelled()) for one in (office, twin) * 3))
    assert len({*opened}) == 1
    assert len(await office.records(opened[0])) == 4


async def test_a_forge_that_fails_on_the_way_leaves_nothing_behind(office: Office):
    office.forge.opens()
    office.forge.failing["head"] = Unavailable("GW-FORGE-UNAVAILABLE", "down")
    with pytest.raises(Unavailable):
        await open_task(office.desk, office.index, office.labelled())
    assert await office.index.all_tasks() == []
    office.forge.failing.clear()
    assert await open_task(office.desk, office.index, office.labelled()) is not None


async def test_an_endless_issue_is_cut(office: Office):
    office.forge.opens(body="x" * (BODY_LIMIT + 1))
    task = await open_task(office.desk, office.index, office.labelled())
    blob = (await office.desk.shelf.read(task)).issue_blob
    assert len(office.desk.snapshot(blob).body) == BODY_LIMIT


async def test_an_issue_of_a_deleted_account_is_by_a_ghost(office: Office):
    office.forge.issues[42] = replace(office.forge.opens(), author=None)
    task = await open_task(office.desk, office.index, office.labelled(TOM))
    blob = (await office.desk.shelf.read(task)).issue_blob
    assert office.desk.snapshot(blob).author == "ghost"
