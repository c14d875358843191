"""One running web process for the tests of a file; its Redis is emptied before each."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from bot.embedded import EmbeddedRedis
from bot.web.body import Limits
from tests.bot.web.serving import Site, serving


@pytest.fixture(scope="module")
def running(embedded_redis: EmbeddedRedis) -> Iterator[Site]:
    with serving(embedded_redis.url, limits=Limits(idle_seconds=1.5)) as site:
        yield site


@pytest.fixture
def site(running: Site, redis_url: str) -> Site:
    return running
