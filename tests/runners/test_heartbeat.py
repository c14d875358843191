from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from bot.model.errors import Superseded
from runners.heartbeat import Stopped, beat
from runners.names import ALIVE_SECONDS, Names

NAMES = Names("42-k7f3qd", 3)


@pytest.fixture
async def client(redis_url: str) -> AsyncIterator[Redis]:
    client = Redis.from_url(redis_url)
    await client.set(NAMES.current, "3")
    await client.set(NAMES.claim, "mine")
    yield client
    await client.aclose()


async def reason(client: Redis) -> Exception:
    ended: list[Exception] = []
    async with asyncio.timeout(5):
        await beat(client, NAMES, "mine", ended.append)
    (only,) = ended
    return only


async def test_the_heartbeat_shows_and_lives_30_seconds(client: Redis) -> None:
    task = asyncio.create_task(beat(client, NAMES, "mine", lambda _: None))
    for _ in range(200):
        if await client.exists(NAMES.alive):
            break
        await asyncio.sleep(0.01)
    assert 0 < await client.ttl(NAMES.alive) <= ALIVE_SECONDS
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_the_stop_key_ends_the_attempt(client: Redis) -> None:
    await client.set(NAMES.stop, "1")
    assert isinstance(await reason(client), Stopped)


@pytest.mark.parametrize(("key", "value"), [("current", "4"), ("claim", "another run")])
async def test_another_attempt_or_another_run_ends_it_as_superseded(client: Redis, key: str, value: str) -> None:
    await client.set(getattr(NAMES, key), value)
    assert isinstance(await reason(client), Superseded)


async def test_a_missing_fence_counts_as_superseded(client: Redis) -> None:
    await client.delete(NAMES.current)
    assert isinstance(await reason(client), Superseded)
