"""Whoever pushed to our branch is known to have, in whatever order it is told."""

from __future__ import annotations

import pytest

from bot.model.event import EventKind
from bot.model.state import Gate, State
from bot.model.task import Task
from tests.bot.tasks.forge import LENA, ME, MIRA, OTTO, commit
from tests.bot.tasks.office import Office

ONE, TWO = commit("one"), commit("two")


@pytest.fixture
async def task(office: Office) -> str:
    return await office.at_change_gate()


async def told(office: Office, task: str, who, head: str) -> Task:
    number = (await office.desk.shelf.read(task)).pull.number
    return await office.hears(task, office.event(EventKind.CHANGE_PUSHED, who, number, on_change=True, head_sha=head))


async def pushes(office: Office, task: str, head: str) -> None:
    office.forge.pushes((await office.desk.shelf.read(task)).branch, head)


async def sweeps(office: Office, task: str, seconds: int = 60) -> Task:
    office.ahead_ms += seconds * 1_000
    await office.redis.delete(f"gw:looked:{task}")
    return await office.converge(task)


async def test_two_pushes_in_a_row_are_two_peoples(office: Office, task: str):
    """The branch has the second one's commit already when the first is told of."""
    await pushes(office, task, TWO)
    now = await told(office, task, LENA, ONE)
    assert now.state is State.CHANGE_REVIEW, "whose the present commit is may still be told"
    now = await told(office, task, OTTO, TWO)
    assert (now.state, set(now.committers)) == (State.QA, {LENA.id, OTTO.id})


async def test_one_who_is_told_of_late_has_pushed_all_the_same(office: Office, task: str):
    await pushes(office, task, TWO)
    now = await told(office, task, OTTO, TWO)
    assert now.committers == (OTTO.id,)
    now = await told(office, task, LENA, ONE)
    assert now.committers == (OTTO.id,), "QA has not begun, the change is looked at when it waits again"
    await office.converge(task)
    await office.judged(task, passed=True)
    await pushes(office, task, commit("published"))
    await office.published(task)
    now = await sweeps(office, task)
    assert set(now.committers) == {OTTO.id, LENA.id}
    assert now.let_pass(Gate.CHANGE) is None


async def test_a_push_that_nobody_told_of_is_nobody_knowns(office: Office, task: str):
    """Then four eyes cannot be held by anybody whom policy keeps apart from committers."""
    await pushes(office, task, ONE)
    assert (await sweeps(office, task, 0)).state is State.CHANGE_REVIEW
    number = (await office.desk.shelf.read(task)).pull.number
    now = await office.says(task, MIRA, "/approve", number, on_change=True)
    assert now.heard[-1].code == "GW-APPROVE-OTHER-HEAD"
    now = await sweeps(office, task)
    assert (now.state, now.committers) == (State.QA, (0,))


async def test_the_same_tree_makes_nobody_a_committer(office: Office, task: str):
    now = await office.desk.shelf.read(task)
    office.forge.trees[ONE] = office.forge.trees.get(now.head, now.head)
    await pushes(office, task, ONE)
    for _ in range(2):
        now = await told(office, task, LENA, ONE)
    assert (now.state, now.head, now.committers) == (State.CHANGE_REVIEW, ONE, ())


async def test_our_own_pushes_are_ours(office: Office, task: str):
    size = (await office.desk.shelf.read(task)).size
    now = await told(office, task, ME, (await office.desk.shelf.read(task)).head)
    assert (now.size, now.committers) == (size, ())
