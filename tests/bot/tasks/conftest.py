"""Control at work: real Redis, a forge in memory."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from redis.asyncio import Redis

from tests.bot.tasks.office import Office


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    """A client of the emptied Redis."""
    async with Redis.from_url(redis_url) as client:
        yield client


@pytest.fixture
async def office(redis_url: str, tmp_path: Path) -> AsyncIterator[Office]:
    """One control."""
    made = Office(redis_url, tmp_path)
    yield made
    await made.close()


@pytest.fixture
async def twin(redis_url: str, tmp_path: Path, office: Office) -> AsyncIterator[Office]:
    """A second replica of control on the same Redis and the same forge."""
    made = Office(redis_url, tmp_path)
    made.forge = office.forge
    made.desk.forges = office.desk.forges
    yield made
    await made.close()
