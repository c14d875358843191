"""/healthz and /readyz, against servers that keep, that do not, and that are gone."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import redis
from redis.asyncio import Redis

from bot.embedded import find_server
from bot.web.health import Readiness, appends, snapshots
from tests.bot.web.serving import Site


def answers(path: Path) -> bool:
    with redis.Redis(unix_socket_path=str(path)) as client:
        try:
            return client.ping()
        except redis.ConnectionError:
            return False


@contextmanager
def volatile_redis(directory: Path, *options: str) -> Iterator[str]:
    """Run a server as somebody might have set it up."""
    path = directory / "r"
    command = [str(find_server()), "--port", "0", "--unixsocket", str(path), "--dir", str(directory), *options]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        while not answers(path):  # the socket is there before anybody listens on it
            assert process.poll() is None
            time.sleep(0.01)
        yield f"unix://{path}"
    finally:
        process.terminate()
        process.wait()


async def state(url: str) -> str:
    client = Redis.from_url(url)
    try:
        return await Readiness(client, allow_volatile=False).state()
    finally:
        await client.aclose()


@pytest.fixture
def short_path(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    import tempfile

    with tempfile.TemporaryDirectory(prefix="gw") as directory:  # pytest's own paths can be too long for a socket
        yield Path(directory)


def test_alive_and_ready_with_the_embedded_redis(site: Site) -> None:
    assert site.ask("GET", "/healthz", []).json == {"status": "alive"}
    answer = site.ask("GET", "/readyz", [])
    assert (answer.status, answer.json) == (200, {"status": "ready", "redis": "durable"})


async def test_redis_that_keeps_nothing_is_volatile(short_path: Path) -> None:
    with volatile_redis(short_path, "--save", "", "--appendonly", "no") as url:
        assert await state(url) == "volatile"


async def test_redis_with_snapshots_is_durable(short_path: Path) -> None:
    with volatile_redis(short_path, "--save", "60 1", "--appendonly", "no") as url:
        assert await state(url) == "durable"


async def test_redis_that_will_not_say_is_not_taken_for_durable(short_path: Path) -> None:
    with volatile_redis(short_path, "--save", "60 1", "--appendonly", "no") as url:
        with redis.Redis.from_url(url) as admin:
            admin.acl_setuser("web", enabled=True, passwords=["+pw"], keys=["*"], commands=["+@all", "-config"])
        assert await state(url.replace("unix://", "unix://web:pw@")) == "unreachable"


async def test_no_redis_is_unreachable(short_path: Path) -> None:
    assert await state(f"unix://{short_path}/nothing") == "unreachable"


@pytest.mark.parametrize(
    ("about", "expected"),
    [
        ({"aof_enabled": 1, "aof_last_write_status": "ok"}, "durable"),
        ({"aof_enabled": 1, "aof_last_write_status": "err"}, "failing"),
        ({"aof_enabled": 1, "aof_last_write_status": "ok", "loading": 1}, "unreachable"),
    ],
)
def test_append_only_file_is_judged_by_its_last_write(about: dict[str, object], expected: str) -> None:
    assert appends(about) == expected


@pytest.mark.parametrize(
    ("status", "save", "expected"), [("ok", "", "volatile"), ("ok", "60 1", "durable"), ("err", "60 1", "failing")]
)
def test_snapshots_are_judged_by_the_last_one(status: str, save: str, expected: str) -> None:
    assert snapshots({"rdb_last_bgsave_status": status}, save) == expected


def test_volatile_redis_is_ready_only_where_settings_want_it(short_path: Path) -> None:
    from starlette.applications import Starlette
    from starlette.routing import Route
    from starlette.testclient import TestClient

    with volatile_redis(short_path, "--save", "", "--appendonly", "no") as url:
        for wanted, status in ((False, 503), (True, 200)):
            readiness = Readiness(Redis.from_url(url, single_connection_client=False), allow_volatile=wanted)
            with TestClient(Starlette(routes=[Route("/readyz", readiness.readyz)])) as client:
                answer = client.get("/readyz")
                client.portal.call(readiness._redis.aclose)
            assert (answer.status_code, answer.json()["redis"]) == (status, "volatile")
