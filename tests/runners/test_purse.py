"""The purse of a day, over a real Redis."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from redis.asyncio import Redis

from bot.model.errors import Unavailable
from bot.model.task import Usage
from runners.purse import Purse

DAY = "2026-11-26"


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    async with Redis.from_url(redis_url) as client:
        yield client


async def test_others_are_all_but_the_attempt_itself(redis: Redis) -> None:
    mine, theirs = Purse(redis, DAY), Purse(redis, DAY)
    assert await mine.others() == Usage()
    await mine.add(Usage(1, 100, 20, 1_500))
    await theirs.add(Usage(2, 7, 3, 40))
    assert (await mine.others(), await theirs.others()) == (Usage(2, 7, 3, 40), Usage(1, 100, 20, 1_500))
    assert await Purse(redis, DAY).others() == Usage(3, 107, 23, 1_540)
    assert await Purse(redis, "2026-11-27").others() == Usage()


async def test_a_price_that_somebody_does_not_know_nobody_knows(redis: Redis) -> None:
    mine, theirs = Purse(redis, DAY), Purse(redis, DAY)
    await mine.add(Usage(1, 1, 1, None))
    assert (await mine.others()).micro_usd == 0, "its own is told apart by who asks"
    assert (await theirs.others()).micro_usd is None
    await theirs.add(Usage(1, 1, 1, 5))
    assert (await mine.others()).micro_usd == 5


async def test_many_at_once_add_up(redis: Redis) -> None:
    purses = [Purse(redis, DAY) for _ in range(8)]
    await asyncio.gather(*(purse.add(Usage(1, 10, 1, 3)) for purse in purses for _ in range(25)))
    assert await Purse(redis, DAY).others() == Usage(200, 2_000, 200, 600)
    assert await purses[0].others() == Usage(175, 1_750, 175, 525)


async def test_sums_that_somebody_lowered_are_never_below_nothing(redis: Redis) -> None:
    mine = Purse(redis, DAY)
    await mine.add(Usage(1, 10, 1, 3))
    await redis.delete(f"gw:day:{DAY}")
    assert await mine.others() == Usage()


async def test_a_redis_that_stays_away_is_said_after_a_while(tmp_path: Path) -> None:
    async with Redis(unix_socket_path=str(tmp_path / "none")) as away:
        purse = Purse(away, DAY, patience=0.6)
        for asked in (purse.others, lambda: purse.add(Usage(1, 1, 1, 1))):
            since = time.monotonic()
            with pytest.raises(Unavailable) as caught:
                await asked()
            assert caught.value.code == "GW-REDIS-AWAY"
            assert time.monotonic() - since >= 0.5, "it is asked again"
