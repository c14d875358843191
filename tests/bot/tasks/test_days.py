from __future__ import annotations

from redis.asyncio import Redis

from bot.audit import kinds
from bot.model.task import Usage
from bot.tasks import days
from bot.tasks.budget import Today, day_of
from runners.purse import FIELDS, Purse
from tests.bot.tasks.history import AGENT, History

NOW = 1_795_651_200_000 + 3_600_000
DAY = "2026-11-26"


async def test_a_day_that_nobody_used_is_empty_and_will_be_forgotten(redis: Redis):
    assert await days.read(redis, DAY, NOW) == Today()
    assert 0 < await redis.ttl(f"gw:day:{DAY}") <= days.KEEP_S


async def test_what_workers_add_is_what_control_reads(redis: Redis):
    assert FIELDS == days.FIELDS
    await Purse(redis, DAY).add(Usage(1, 100, 20, 1_500))
    await Purse(redis, DAY).add(Usage(2, 5, 1, 7))
    assert (await days.read(redis, DAY, NOW)).usage == Usage(3, 105, 21, 1_507)
    await Purse(redis, DAY).add(Usage(1, 5, 1, None))
    assert (await days.read(redis, DAY, NOW)).usage == Usage(4, 110, 22, None)
    assert await days.read(redis, "2026-11-27", NOW) == Today()


async def test_a_worker_that_lies_gives_nobody_more_than_the_limit(redis: Redis):
    await redis.hincrby(f"gw:day:{DAY}", "tokens_in", -(10**9))
    assert (await days.read(redis, DAY, NOW)).usage == Usage()


def story() -> History:
    history = History()
    history.now = NOW - 600_000
    return history.start("spec")


async def test_minutes_are_those_of_attempts_that_ask_models_and_are_not_counted_twice(redis: Redis):
    waiting = story()
    await days.note(redis, waiting.task, NOW)
    assert (await days.read(redis, DAY, NOW)).ms == 0, "no worker has taken it up"
    waiting.add("model.call", kinds.ModelCall(1, 1, "claude", "sonnet"), AGENT)
    heard = waiting.now
    await days.note(redis, waiting.task, NOW)
    assert (await days.read(redis, DAY, NOW)).ms == NOW - heard, "it runs"
    assert (await days.read(redis, DAY, NOW + 60_000)).ms == NOW + 60_000 - heard
    waiting.spec().add("attempt.ended", kinds.AttemptEnded(1, "spec", dur_ms=2), AGENT)
    for _ in range(2):
        await days.note(redis, waiting.task, NOW)
    assert (await days.read(redis, DAY, NOW + 60_000)).ms == 2
    waiting.add("task.closed", kinds.TaskClosed("cancelled", "x")).start("archive").end("archive")
    await days.note(redis, waiting.task, NOW)
    assert (await days.read(redis, DAY, NOW)).ms == 2


async def test_an_attempt_counts_for_the_day_on_which_it_began(redis: Redis):
    late = History()
    late.now = NOW - 3_600_000 - 60_000
    late.start("spec").spec()
    late.now = NOW
    late.add("attempt.ended", kinds.AttemptEnded(1, "spec", dur_ms=120_000), AGENT)
    await days.note(redis, late.task, NOW)
    before = day_of(late.task.attempts[0].started_ms)
    assert before == "2026-11-25"
    assert [(await days.read(redis, day, NOW)).ms for day in (before, DAY)] == [120_000, 0]
    assert 0 < await redis.ttl(f"gw:minutes:{before}") <= days.KEEP_S


async def test_a_task_without_attempts_leaves_no_trace(redis: Redis):
    await days.note(redis, History().task, NOW)
    assert await redis.keys("gw:minutes:*") == []
