"""deploy/redis-acl.conf in a real Redis: each role can do its work, and none can do another's."""

from __future__ import annotations

import asyncio
import hashlib
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from redis import Redis as Blocking
from redis.asyncio import Redis
from redis.exceptions import AuthenticationError, NoPermissionError, RedisError, ResponseError
from rq import SimpleWorker
from rq.job import Job
from rq.serializers import JSONSerializer

from bot.audit.blobs import Blobs
from bot.audit.chain import Link
from bot.audit.keys import InstanceKey
from bot.embedded import find_server
from bot.inbox import Delivery, Inbox
from bot.model.errors import Superseded
from bot.model.event import ForgeKind, Repo
from bot.model.task import Usage
from bot.tasks import days
from bot.tasks.brakes import Brakes
from bot.tasks.index import Index
from bot.tasks.journal import Journals
from bot.tasks.papers import PENDING, Papers, key_at
from bot.tasks.queue import Jobs
from bot.tasks.signing import STORE
from bot.web.health import Readiness
from runners.access import Access
from runners.names import Names, day
from runners.purse import Purse
from runners.stream import Recorder
from runners.worker import AttemptWorker
from tests.house.code import ROOT

FILE = ROOT / "deploy" / "redis-acl.conf"
NOBODYS = "0" * 64
ROLES = ("web", "control", "worker")
TASK, REPO = "42-k7f3qd", Repo(ForgeKind.GITHUB, "github.com", 5, "pay/core")
DAY = "2026-11-26"
TESTS = "user tests on nopass ~* &* +@all\n"
DELIVERY = Delivery("github", "github.com", "d-1", "issues", "labeled", b"{}", 1)
TAIL = Link(0, "1" * 64)
NAMES = Names(TASK, 1)
OFF_LIMITS = (  # what only control may write
    f"gw:journal:{TASK}", f"gw:head:{TASK}", f"gw:lease:{TASK}", NAMES.order, NAMES.current, NAMES.stop,
    "gw:brake:instance", f"gw:brake:repo:{REPO.key}", f"gw:brake:task:{TASK}", f"gw:issue:{REPO.key}:42",
    "gw:tasks:open", "gw:tasks:all", "gw:names", "gw:leader", "gw:inbox:dead", "gw:event:x", f"gw:progress:{TASK}",
    f"gw:minutes:{DAY}", "gw:something.new",
    f"gw:taskkey:{TASK}", f"gw:signed:{TASK}", "gw:log:pending", "gw:log:leader",
)  # fmt: skip


class Quiet(SimpleWorker):
    """A worker that forks nothing, and like ours listens to no channel."""

    subscribe = AttemptWorker.subscribe


class Server:
    """One Redis with the users of the file; the password of a role is its name twice."""

    def __init__(self, folder: Path, *, armed: bool = True) -> None:
        text = FILE.read_text(encoding="utf-8")
        for role in ROLES if armed else ():
            digest = hashlib.sha256((role + role).encode()).hexdigest()
            text = text.replace(f"user {role} on #{NOBODYS}", f"user {role} on #{digest}")
        (folder / "acl.conf").write_text(text)
        self.socket = folder / "s"
        config = f"port 0\nunixsocket {self.socket}\ndir {folder}\nappendonly yes\n{TESTS}include {folder}/acl.conf\n"
        (folder / "redis.conf").write_text(config)
        self.process = subprocess.Popen(
            [find_server(), folder / "redis.conf"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        deadline = time.monotonic() + 20
        while not self._answers():
            assert self.process.poll() is None, "the server does not take the file"
            assert time.monotonic() < deadline
            time.sleep(0.02)

    def _answers(self) -> bool:
        try:
            Blocking(unix_socket_path=str(self.socket), username="web", password="?").ping()
        except AuthenticationError:
            return True
        except RedisError:
            return False
        return True

    def url(self, role: str) -> str:
        return f"unix://{role}:{role}{role}@{self.socket}"

    @asynccontextmanager
    async def as_(self, role: str) -> AsyncIterator[Redis]:
        async with Redis.from_url(self.url(role)) as client:
            yield client

    def blocking(self, role: str) -> Blocking:
        return Blocking.from_url(self.url(role))

    @asynccontextmanager
    async def free(self) -> AsyncIterator[Redis]:
        """The user without bounds, who shows what each attack does where nothing stops it."""
        async with Redis(unix_socket_path=str(self.socket), username="tests", password="x") as client:
            yield client

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(20)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    made = Server(tmp_path_factory.mktemp("r"))
    yield made
    made.stop()


@pytest.fixture
def server(running: Server) -> Server:
    """The one server of this file, emptied by a user that only the tests have."""
    with Blocking(unix_socket_path=str(running.socket), username="tests", password="x") as redis:
        redis.flushall()
    return running


def test_as_shipped_nobody_gets_in(tmp_path: Path) -> None:
    shut = Server(tmp_path, armed=False)
    try:
        for role in (*ROLES, "default"):
            with pytest.raises((AuthenticationError, ResponseError)):
                shut.blocking(role).ping()
        with pytest.raises(RedisError):
            Blocking(unix_socket_path=str(shut.socket)).ping()
    finally:
        shut.stop()


async def test_web_stores_deliveries_and_asks_for_its_health(server: Server) -> None:
    async with server.as_("web") as redis:
        inbox = Inbox(redis, 10)
        assert [await inbox.offer(DELIVERY), await inbox.offer(DELIVERY)] == ["accepted", "duplicate"]
        assert await Readiness(redis, allow_volatile=False).state() == "durable"


async def test_control_does_all_of_its_work(server: Server) -> None:
    async with server.as_("web") as web, server.as_("control") as redis:
        await Inbox(web, 10).offer(DELIVERY)
        inbox = Inbox(redis, 10)
        await inbox.attend("one")
        (letter,) = await inbox.read("one", 0, 5)
        await inbox.failed(letter, "again")
        await inbox.done(letter)
        assert await Index(redis).begin(REPO, 42, TASK, TAIL, [b"opened"]) == TASK
        journals = Journals(redis)
        async with journals.lease(TASK) as lease:
            await journals.append(lease, TAIL, Link(1, "2" * 64), [b"next"])
        await Index(redis).release(TASK, REPO, 42)
        await Brakes(redis).pull(REPO.key, "a", "b", 1)
        assert len(await Brakes(redis).all()) == 1
        await redis.lpush("gw:wake", TASK)
        assert await redis.brpop(["gw:wake"], timeout=1)
    with server.blocking("control") as blocking:
        jobs = Jobs(blocking)
        assert await jobs.ensure(TASK, 1, 60.0)
        assert await jobs.status(TASK, 1) == "waiting"


async def ordered(server: Server) -> None:
    """Give an attempt its order, as control does."""
    async with server.as_("control") as redis:
        await redis.set(NAMES.order, b"order")
        await redis.set(NAMES.current, "1")
        await redis.rpush(NAMES.journal, b"opened")
        await redis.hset(NAMES.signed, "key.note", b"note")
        await redis.set(key_at(TASK), b"encrypted")


async def test_a_worker_takes_reads_and_reports(server: Server, tmp_path: Path) -> None:
    await ordered(server)
    async with server.as_("worker") as redis:
        assert await redis.get(NAMES.order) == b"order"
        assert await redis.set(NAMES.claim, "me", nx=True, ex=60)
        await redis.set(NAMES.alive, "me", ex=30)
        assert await redis.mget(NAMES.stop, NAMES.current, NAMES.claim) == [None, b"1", b"me"]
        assert await redis.lrange(NAMES.journal, 0, 0) == [b"opened"]
        assert await redis.hgetall(NAMES.signed) == {b"key.note": b"note"}
        recorder = Recorder(redis, NAMES, Blobs(tmp_path / "blobs"), "me")
        await recorder.check()
        await recorder.end({"step": "spec", "code": ""}, outcome="ok")
        assert await redis.xlen(NAMES.stream) == 1
        access = Access(redis, NAMES, InstanceKey.load_or_create(tmp_path / "key"), ForgeKind.GITHUB, "")
        asking = asyncio.create_task(access.get(write=False))
        async with server.as_("control") as control:
            assert await control.brpop(["gw:wake"], timeout=5)
            assert await control.brpop(["gw:wake"], timeout=5) == (b"gw:wake", NAMES.knock(1).encode())
            assert await control.getdel(NAMES.ask(1))
        asking.cancel()


async def test_a_worker_runs_jobs_of_the_queue(server: Server) -> None:
    with server.blocking("control") as control, server.blocking("worker") as redis:
        await Jobs(control).ensure(TASK, 1, 60.0, "runner.secure-zone")
        job = Job.fetch(f"{TASK}-1", connection=control, serializer=JSONSerializer)
        job.func_name = "builtins.max"
        job.save()
        worker = Quiet(["runner.secure-zone"], connection=redis, serializer=JSONSerializer)
        assert worker.work(burst=True, logging_level="CRITICAL")
        assert await Jobs(control).status(TASK, 1) == "ended"


def writing(key: str) -> tuple[list[str], ...]:
    return (
        ["SET", key, "x"], ["DEL", key], ["RPUSH", key, "x"], ["HSET", key, "seq", "9"], ["SADD", key, "x"],
        ["EXPIRE", key, "1"], ["XADD", key, "*", "r", "x"], ["GETDEL", key], ["RENAME", NAMES.stream, key],
        ["COPY", NAMES.stream, key],
        ["EVAL", "return redis.call('SET', KEYS[1], 'x')", "1", key],
        ["EVAL", f"return redis.call('SET', '{key}', 'x')", "0"],
        ["EVAL", f"return redis.call('DEL', '{key}')", "1", NAMES.stream],
    )  # fmt: skip


async def test_whoever_is_not_bounded_writes_what_decides(server: Server) -> None:
    async with server.free() as redis:
        for words in writing(OFF_LIMITS[0]):
            await redis.flushall()
            await redis.xadd(NAMES.stream, {"r": "x"})
            await redis.execute_command(*words)


@pytest.mark.parametrize("role", ["web", "worker"])
@pytest.mark.parametrize("key", OFF_LIMITS)
async def test_nobody_but_control_writes_what_decides(server: Server, role: str, key: str) -> None:
    async with server.as_(role) as redis:
        for words in writing(key):
            with pytest.raises(ResponseError) as caught:
                await redis.execute_command(*words)
            said = str(caught.value)
            assert isinstance(caught.value, NoPermissionError) or "permission" in said or "ACL" in said, (words, said)
    async with server.as_("control") as control:
        assert await control.exists(key) == 0


async def test_the_fence_holds_although_a_workers_script_may_name_it(server: Server, tmp_path: Path) -> None:
    commands = ("'SET', KEYS[1], '2'", "'DEL', KEYS[1]", "'EXPIRE', KEYS[1], 1", "'RENAME', KEYS[1], KEYS[2]")
    async with server.free() as redis:
        for command in commands:
            await ordered(server)
            assert await redis.eval(f"return redis.call({command})", 2, NAMES.current, NAMES.claim)
        await redis.flushall()
    await ordered(server)
    async with server.as_("worker") as redis:
        for command in commands:
            with pytest.raises(ResponseError):
                await redis.eval(f"return redis.call({command})", 2, NAMES.current, NAMES.claim)
        assert await redis.get(NAMES.current) == b"1"
        await redis.set(NAMES.claim, "another")
        with pytest.raises(Superseded):
            await Recorder(redis, NAMES, Blobs(tmp_path), "me").check()


RULING = (
    "FLUSHALL", "FLUSHDB", "CONFIG SET appendonly no", "ACL SETUSER web +@all", "ACL LIST", "KEYS *",
    "REPLICAOF no one", "CLIENT KILL TYPE normal", "SAVE", "SWAPDB 0 1", "PUBLISH a b", "SET foreign:key x",
    "MONITOR", "SHUTDOWN",
)  # fmt: skip


def test_whoever_is_not_bounded_rules_the_server(tmp_path: Path) -> None:
    ruled = Server(tmp_path)
    try:
        with Blocking(unix_socket_path=str(ruled.socket), username="tests", password="x") as redis:
            for words in RULING[:-2]:
                redis.execute_command(*words.split())
            with redis.monitor() as watch:
                redis.set("gw:current:x", "1")
                seen = (each["command"] for each in watch.listen())
                assert next(each for each in seen if each.startswith("SET ")) == "SET gw:current:x 1"
            redis.shutdown(nosave=True)
        assert ruled.process.wait(20) == 0
    finally:
        ruled.stop()


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("words", RULING)
def test_no_role_rules_the_server(server: Server, role: str, words: str) -> None:
    with server.blocking(role) as redis, pytest.raises(NoPermissionError):
        redis.execute_command(*words.split())


VANISHING = (
    ["DEL", day(DAY)], ["UNLINK", day(DAY)], ["HSET", day(DAY), "calls", "0"], ["HDEL", day(DAY), "calls"],
    ["EXPIRE", day(DAY), "1"], ["PERSIST", day(DAY)], ["RENAME", day(DAY), NAMES.stream],
    ["COPY", NAMES.stream, day(DAY), "REPLACE"], ["SET", day(DAY), "x"],
    ["EVAL", "return redis.call('DEL', KEYS[1])", "1", day(DAY)],
)  # fmt: skip


async def test_whoever_is_not_bounded_makes_a_day_vanish(server: Server) -> None:
    async with server.free() as redis:
        for words in VANISHING:
            await redis.flushall()
            await Purse(redis, DAY).add(Usage(1, 2, 3, 4))
            await redis.expire(day(DAY), 60)
            await redis.xadd(NAMES.stream, {"r": "x"})
            assert await redis.execute_command(*words) or words[0] == "HSET"  # which sets, and adds no field


async def test_a_worker_adds_to_the_day_and_can_neither_set_it_nor_make_it_vanish(server: Server) -> None:
    async with server.as_("control") as control, server.as_("worker") as redis:
        await days.read(control, DAY, 1)
        await Purse(redis, DAY).add(Usage(1, 2, 3, 4))
        assert await Purse(redis, DAY).others() == Usage(1, 2, 3, 4)
        for words in VANISHING:
            with pytest.raises(ResponseError):
                await redis.execute_command(*words)
        assert (await days.read(control, DAY, 1)).usage == Usage(1, 2, 3, 4)
    async with server.as_("web") as web:
        with pytest.raises(NoPermissionError):
            await web.hincrby(day(DAY), "calls", 1)


@pytest.mark.parametrize("role", ["web", "worker"])
async def test_nobody_but_control_reads_a_tasks_key_or_what_waits_for_the_log(server: Server, role: str) -> None:
    await ordered(server)
    async with server.as_(role) as redis:
        for words in (
            ["GET", key_at(TASK)], ["GETRANGE", key_at(TASK), "0", "9"], ["COPY", key_at(TASK), NAMES.stream],
            ["DUMP", key_at(TASK)], ["LRANGE", PENDING, "0", "-1"], ["LPOP", PENDING],
            ["EVAL", "return redis.call('GET', KEYS[1])", "1", key_at(TASK)],
            ["EVAL", f"return redis.call('GET', '{key_at(TASK)}')", "0"],
        ):  # fmt: skip
            with pytest.raises(ResponseError):
                await redis.execute_command(*words)
    async with server.as_("web") as web:
        with pytest.raises(NoPermissionError):
            await web.hgetall(NAMES.signed)


async def test_control_opens_signs_and_destroys(server: Server) -> None:
    async with server.as_("control") as redis:
        papers = Papers("v", b"encrypted", b"note", b"entry")
        assert await Index(redis).begin(REPO, 43, TASK, TAIL, [b"opened"], papers) == TASK
        assert await redis.get(key_at(TASK)) == b"encrypted"
        await redis.eval(STORE, 2, NAMES.signed, PENDING, "checkpoints/0000000001.note", b"note", b"entry")
        assert await redis.llen(PENDING) == 2
        await redis.delete(key_at(TASK))


async def test_web_reads_nothing_back(server: Server) -> None:
    async with server.as_("web") as redis:
        await Inbox(redis, 10).offer(DELIVERY)
        for words in (["XRANGE", "gw:inbox", "-", "+"], ["LPUSH", "gw:wake", TASK], ["GET", f"gw:order:{TASK}:1"]):
            async with server.free() as anybody:
                await anybody.execute_command(*words)
            with pytest.raises(NoPermissionError):
                await redis.execute_command(*words)


async def test_a_worker_reads_no_deliveries_and_no_names(server: Server) -> None:
    async with server.as_("worker") as redis:
        for words in (["XRANGE", "gw:inbox", "-", "+"], ["HGETALL", "gw:names"], ["BRPOP", "gw:wake", "1"]):
            async with server.free() as anybody:
                await anybody.execute_command(*words)
            with pytest.raises(NoPermissionError):
                await redis.execute_command(*words)
