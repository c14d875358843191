from __future__ import annotations

import pytest
from rq import Queue

from bot.audit.order import verify_order
from bot.keyring import instance_key
from bot.model.state import Step
from bot.tasks import deposit as depositing
from bot.tasks.deposit import KEPT_MS, PAUSES_MS, ended
from bot.tasks.giving import PATIENCE_MS, SILENCE_MS
from tests.bot.tasks.forge import MIRA
from tests.bot.tasks.office import Office
from tests.bot.tasks.sealed import TIP, cancelled, delivers, lines, proven, state


async def ordered(office: Office) -> str:
    """A sealed task whose delivery is under way."""
    task = await cancelled(office)
    await proven(office, task)
    await office.converge(task)
    return task


async def test_a_deposit_is_an_order_like_any_other_and_stands_in_no_journal(office: Office):
    task = await cancelled(office)
    before = await lines(office, task)
    await proven(office, task)
    await office.converge(task)
    now = await state(office, task)
    attempts = (await office.desk.shelf.read(task)).attempts
    order = verify_order(
        await office.redis.get(f"gw:order:{task}:{now.number}"), instance_key(office.desk.data, "gatewright").public
    )
    assert (order.step, order.attempt, order.journal_size) == (Step.ARCHIVE, len(attempts) + 1, len(before))
    assert await office.redis.get(f"gw:current:{task}") == str(now.number).encode()
    assert f"{task}-{now.number}" in Queue("default", connection=office.queue).job_ids
    await delivers(office, task)
    await office.converge(task)
    assert await lines(office, task) == before


async def test_a_journal_that_was_read_back_from_git_leaves_redis_a_week_later(office: Office):
    task = await ordered(office)
    await delivers(office, task)
    await office.converge(task)
    done = await state(office, task)
    assert (done.commit, done.ref) == (TIP, f"refs/gatewright/audit/{task}")
    assert await office.index.open_tasks() == []
    for name in ("journal", "head", "signed", "deposit"):
        left = await office.redis.pttl(f"gw:{name}:{task}")
        assert KEPT_MS - 60_000 < left <= KEPT_MS, name
    told = await ended(office.redis, task)
    assert (told.state, told.commit, told.path) == ("cancelled", TIP, "pay/core")
    assert (await office.desk.shelf.read(task)).is_sealed, "until then it can be shown"


async def test_nothing_of_a_task_stays_for_ever(office: Office):
    task = await office.at_change_gate()
    await office.says(task, MIRA, "/cancel")
    await office.converge(task)
    await proven(office, task)
    await office.converge(task)
    await delivers(office, task)
    await office.converge(task)
    await office.converge(task)
    keys = [key.decode() for key in await office.redis.keys(f"*{task}*")]
    assert keys
    stays = [key for key in keys if await office.redis.pttl(key) < 0 and not key.startswith("rq:")]
    assert stays == []
    assert await office.redis.pttl(f"gw:change:{office.repo.key}:{1}") != -1


async def test_converging_again_counts_the_days_from_the_delivery(office: Office):
    task = await ordered(office)
    await delivers(office, task)
    await office.converge(task)
    before = await office.redis.pexpiretime(f"gw:journal:{task}")
    office.ahead_ms = 86_400_000
    await office.converge(task)
    assert await office.redis.pexpiretime(f"gw:journal:{task}") == before


@pytest.mark.parametrize(
    "wrong",
    [{"journal_sha256": "f" * 64}, {"journal_sha256": ""}, {"size": 1}],
    ids=["another journal", "not read back", "cut short"],
)
async def test_what_git_does_not_hold_byte_for_byte_is_delivered_again(office: Office, wrong: dict):
    task = await ordered(office)
    await delivers(office, task, **wrong)
    await office.converge(task)
    assert office.log.codes("deposit.failed") == ["GW-DEPOSIT-DIFFERS"]
    assert await office.index.open_tasks() == [task]
    assert await office.redis.pttl(f"gw:journal:{task}") == -1


async def test_a_delivery_that_fails_is_tried_again_after_growing_pauses(office: Office):
    task = await ordered(office)
    for tries, pause in enumerate((*PAUSES_MS, PAUSES_MS[-1]), 1):
        assert (await state(office, task)).tries == tries
        await delivers(office, task, "fail", "GW-GIT-AWAY")
        await office.converge(task)
        await office.converge(task)
        assert (await state(office, task)).tries == tries, "not at once"
        office.ahead_ms += pause + 1_000
        await office.converge(task)
    assert office.log.codes("deposit.failed") == ["GW-GIT-AWAY"] * (len(PAUSES_MS) + 1)
    await delivers(office, task)
    await office.converge(task)
    assert await office.index.open_tasks() == []


async def test_a_worker_that_vanished_is_followed_by_another(office: Office):
    task = await ordered(office)
    number = (await state(office, task)).number
    await office.redis.hset(f"rq:job:{task}-{number}", "status", "started")
    office.ahead_ms = SILENCE_MS + 1
    await office.converge(task)
    assert office.log.codes("deposit.failed") == ["GW-ATTEMPT-LOST"]
    assert await office.redis.get(f"gw:stop:{task}:{number}") == b"1"
    assert await office.redis.get(f"gw:current:{task}") is None
    office.ahead_ms += PAUSES_MS[0] + 1
    await office.converge(task)
    assert (await state(office, task)).number == number + 1


async def test_an_order_that_a_crash_lost_is_found_missing(office: Office):
    task = await ordered(office)
    await office.redis.delete(f"gw:order:{task}:{(await state(office, task)).number}")
    office.ahead_ms = PATIENCE_MS + 1
    await office.converge(task)
    assert office.log.codes("deposit.failed") == ["GW-ATTEMPT-LOST"]


async def test_what_a_stranger_writes_into_the_stream_is_no_delivery(office: Office):
    task = await ordered(office)
    number = (await state(office, task)).number
    await office.redis.xadd(f"gw:attempt:{task}:{number}", {"r": b"{]"})
    await office.converge(task)
    assert "attempt.inadmissible" in office.log.events()
    assert (await state(office, task)).since_ms > 0


async def test_a_task_that_nobody_knows_has_no_end(office: Office):
    assert await depositing.ended(office.redis, "42-aaaaaa") is None
    assert (await depositing.read(office.redis, "42-aaaaaa")).tries == 0
