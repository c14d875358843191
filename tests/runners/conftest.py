"""A real Redis for all tests of the worker's side: the embedded one, emptied before each test that asks for it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import redis

from bot.embedded import EmbeddedRedis
from tests.runners.stage import Stage, raised


@pytest.fixture(scope="session")
def embedded_redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedRedis]:
    """One server for the whole run."""
    with EmbeddedRedis(tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture
def redis_url(embedded_redis: EmbeddedRedis) -> str:
    """Its URL; nothing is in it."""
    with redis.Redis.from_url(embedded_redis.url) as client:
        client.flushall()
    return embedded_redis.url


@pytest.fixture
def stage(redis_url: str) -> Iterator[Stage]:
    """A repository, a task and a worker's machine."""
    with raised(redis_url) as stage:
        yield stage
