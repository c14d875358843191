from __future__ import annotations

import pytest
from rq import Queue

from bot.audit.order import sign_order, verify_order
from bot.keyring import instance_key
from bot.model.errors import Refused
from bot.model.state import Step
from bot.tasks.giving import PATIENCE_MS, SILENCE_MS, give, is_lost, written
from bot.tasks.papers import key_at, signed_at
from tests.bot.tasks.office import Office


async def test_an_order_names_the_journal_as_it_stands_and_its_signed_head(office: Office):
    task = await office.opened()
    async with office.desk.shelf.open(task) as book:
        order = await written(office.desk, book, Step.SPEC, 7)
        assert (order.attempt, order.journal_size, order.journal_head) == (7, book.tail.seq + 1, book.tail.hash)
        assert order.checkpoint.startswith(f"gatewright/task/{task} {order.journal_size} ")


async def test_what_is_given_is_there_whole(office: Office):
    task = await office.opened()
    async with office.desk.shelf.open(task) as book:
        order = await written(office.desk, book, Step.SPEC, 7)
        await give(office.desk, order, sign_order(order, office.desk.key), "")
    key = instance_key(office.desk.data, "gatewright").public
    assert verify_order(await office.redis.get(f"gw:order:{task}:7"), key) == order
    assert await office.redis.get(f"gw:current:{task}") == b"7"
    assert f"{task}-7" in Queue("default", connection=office.queue).job_ids


async def test_an_attempt_is_lost_when_nobody_can_take_it_up_any_more(office: Office):
    task = await office.opened()
    now = await office.desk.shelf.read(task)
    began = office.clock()
    assert not await is_lost(office.desk, now, 1, began), "not before somebody had a chance"
    office.ahead_ms = PATIENCE_MS + 1
    assert not await is_lost(office.desk, now, 1, began), "it waits in the queue"
    await office.redis.hset(f"rq:job:{task}-1", "status", "started")
    assert not await is_lost(office.desk, now, 1, began)
    office.ahead_ms = SILENCE_MS + 1
    assert await is_lost(office.desk, now, 1, began)
    await office.redis.set(f"gw:alive:{task}:1", "x")
    assert not await is_lost(office.desk, now, 1, began)


async def test_work_is_not_ordered_once_nobody_can_sign(office: Office):
    task = await office.opened()
    await office.redis.delete(key_at(task), signed_at(task))
    office.desk.shelf.forget(task)
    async with office.desk.shelf.open(task) as book:
        with pytest.raises(Refused, match="GW-SIGN-KEY"):
            await written(office.desk, book, Step.SPEC, 7)
