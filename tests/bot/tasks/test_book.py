from __future__ import annotations

import asyncio

import pytest

from bot.audit import kinds
from bot.audit.chain import Draft, walk
from bot.model.errors import GatewrightError, Refused, Superseded
from bot.model.state import State
from bot.tasks.fold import fold
from bot.tasks.journal import Journals
from tests.bot.tasks.office import Office

PAUSE = kinds.TaskBlocked("GW-TEST")


async def test_a_book_is_always_the_fold_of_what_redis_holds(office: Office):
    task = await office.opened()
    async with office.desk.shelf.open(task) as book:
        await book.write(Draft("task.blocked", PAUSE, office.desk.service))
        lines = await Journals(office.redis).lines(task)
        assert book.task == fold(record for record, _ in walk(lines, book.genesis))
        assert book.task.state is State.BLOCKED


async def test_what_the_machine_does_not_know_is_not_written(office: Office):
    task = await office.opened()
    approval = kinds.Approval("spec", "a" * 64, 1, "42:9", 1, "write", "shown")
    async with office.desk.shelf.open(task) as book:
        before = book.tail
        with pytest.raises(Refused):
            await book.write(Draft("approval", approval, office.desk.service))
        assert book.tail == before == await Journals(office.redis).head(task)


async def test_a_task_that_is_not_there_says_how_to_find_those_that_are(office: Office):
    with pytest.raises(GatewrightError) as unknown:
        await office.desk.shelf.read("42-zzzzzz")
    assert unknown.value.code == "GW-TASK-UNKNOWN"
    assert "tasks list" in unknown.value.fix


async def test_a_replica_sees_what_another_one_has_written(office: Office, twin: Office):
    task = await office.opened()
    assert (await twin.desk.shelf.read(task)).state is State.SPEC
    async with office.desk.shelf.open(task) as book:
        await book.write(Draft("task.blocked", PAUSE, office.desk.service))
    async with twin.desk.shelf.open(task) as book:
        assert book.task.state is State.BLOCKED


async def test_two_replicas_write_one_after_the_other(office: Office, twin: Office):
    task = await office.opened()
    before = len(await office.records(task))

    async def write(one: Office) -> None:
        async with one.desk.shelf.open(task) as book:
            await book.write(Draft("progress", kinds.Progress(1, 1, 2), one.desk.service))

    await asyncio.gather(*(write(one) for one in (office, twin, office, twin)))
    records = await office.records(task)
    assert [record.seq for record in records] == list(range(before + 4))


async def test_a_book_whose_lease_is_gone_writes_nothing(office: Office):
    task = await office.opened()
    size = (await office.desk.shelf.read(task)).size
    async with office.desk.shelf.open(task) as book:
        await office.redis.delete(f"gw:lease:{task}")
        with pytest.raises(Superseded):
            await book.write(Draft("task.blocked", PAUSE, office.desk.service))
        assert book.task.state is State.SPEC
    assert (await office.desk.shelf.read(task)).size == size
