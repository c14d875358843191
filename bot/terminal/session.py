"""All parts for as long as one command runs: embedded Redis, control in this loop, a real worker beside it."""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
import subprocess
import time
from collections.abc import Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import msgspec

from bot.audit.record import Record, decode
from bot.control import Control
from bot.embedded import EmbeddedRedis
from bot.endpoints import registry
from bot.forges.local import HOST, YOU, LocalForge, Place
from bot.inbox import Delivery
from bot.keyring import runner_key
from bot.model.errors import GatewrightError
from bot.model.event import Event, EventKind, ForgeKind, Repo
from bot.model.state import State
from bot.model.task import Task
from bot.settings import Settings
from bot.settings_file import load, make_dir
from bot.supervisor import ADDRESS, command
from bot.tasks.brakes import TASK, Brakes
from bot.tasks.deposit import Deposit
from bot.tasks.deposit import read as deposited
from bot.wiring import make_control

OPEN_S: Final = 30.0
HEARD_S: Final = 30.0
SETTLE_S: Final = 10.0
POLL_S: Final = 0.05
STOP_S: Final = 20.0
CONTROL_S: Final = 3.0


class Session:
    """Parts that live and die with one command; state stays in the data directory and the next session goes on."""

    def __init__(self, data: Path, config: Path | None, overrides: Mapping[str, str] | None = None) -> None:
        self.data = data
        self._config = config
        self._overrides = dict(overrides or {})
        self._open = AsyncExitStack()

    async def __aenter__(self) -> Self:
        make_dir(self.data)
        try:
            await self._start()
        except BaseException:
            await self._open.aclose()
            raise
        return self

    async def _start(self) -> None:
        url = self._start_redis()
        given = {**os.environ, **self._overrides}
        self._env = {
            **given,
            # Registered endpoints lie where the person's state is, not in the folder of this session.
            "GATEWRIGHT_REGISTRY__FILE": str(registry.place(load(self._config, given), given)),
            "GATEWRIGHT_REDIS__URL": url,
            "GATEWRIGHT_SERVER__DATA_DIR": str(self.data),
        }
        self.settings: Settings = load(self._config, self._env)
        runner_key(self.data, self.settings.server.instance)
        self.control: Control = make_control(self.settings, url)
        self._open.push_async_callback(self.control.desk.redis.aclose)
        self._loop = asyncio.create_task(self.control.run())
        self._open.push_async_callback(self._stop_control)
        self._log = self._open.enter_context((self.data / "worker.log").open("ab"))
        self._worker = self._start_worker()
        self._open.push_async_callback(self._stop_worker)  # first of all, so that control hears its last reports

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._open.aclose()

    def _start_redis(self) -> str:
        """Start Redis from this very thread, whose end it does not outlive."""
        redis = EmbeddedRedis(self.data / "redis")
        try:
            url = redis.start()
        except GatewrightError as error:
            if error.code != "GW-REDIS-IN-USE":
                raise
            raise GatewrightError(
                "GW-LOCAL-BUSY", "another `gatewright run` or `gatewright tasks` is at work here",
                why=f"{self.data} belongs to one command at a time",
                fix="wait until it has ended, or give this one its own place: GATEWRIGHT_SERVER__DATA_DIR=DIR",
            ) from None  # fmt: skip
        self._open.callback(redis.stop)
        address = self.data / ADDRESS
        address.write_text(url, "ascii")
        self._open.callback(address.unlink, missing_ok=True)
        return url

    def _start_worker(self) -> subprocess.Popen[bytes]:
        flags = ["--config", str(self._config)] if self._config else []
        return subprocess.Popen(
            command("work", *flags), env=self._env, stdin=subprocess.DEVNULL, stdout=self._log, stderr=self._log,
            start_new_session=True,
        )  # fmt: skip

    async def _stop_worker(self) -> None:
        self._worker.send_signal(signal.SIGTERM)
        try:
            await asyncio.to_thread(self._worker.wait, STOP_S)
        except subprocess.TimeoutExpired:
            self._worker.kill()
            self._worker.wait()

    async def _stop_control(self) -> None:
        self.control.stop()
        await asyncio.wait([self._loop], timeout=CONTROL_S)

    @property
    def forge(self) -> LocalForge:
        """The local forge of this session."""
        forge = self.control.desk.forges[ForgeKind.LOCAL.value, HOST]
        if not isinstance(forge, LocalForge):
            raise TypeError("the local forge is not local")
        return forge

    async def open(self, place: Place, title: str, body: str) -> str:
        """Open a task by a labelled local issue, the way every task is opened; return its id."""
        repo, label = place.repo, self.settings.trigger.label
        issue = self.forge.add_issue(repo, title, body, label)
        await self._deliver(_event(EventKind.LABELED, repo, issue.number, label=label, issue=issue))
        deadline = time.monotonic() + OPEN_S
        while time.monotonic() < deadline:
            task = await self.control.index.find(repo, issue.number, is_change=False)
            if task and await self.control.desk.shelf.journals.head(task):
                return task
            self.check()
            await asyncio.sleep(0.02)
        raise GatewrightError("GW-LOCAL-OPEN", "the task was not opened", fix=f"look into {self.data}/worker.log")

    async def say(self, task: Task, text: str) -> None:
        """Comment as the person at this machine, and wait until it was heard."""
        repo, number = task.origin.repo, task.origin.issue
        on_change = task.state is State.CHANGE_REVIEW and task.pull is not None
        if on_change and task.pull:
            number = task.pull.number
        comment = self.forge.say(repo, number, text)
        heard = len(task.heard)
        await self._deliver(_event(EventKind.COMMENTED, repo, number, comment=comment, on_change=on_change))
        deadline = time.monotonic() + HEARD_S
        while time.monotonic() < deadline:
            if len((await self.state(task.origin.task)).heard) > heard:
                return
            self.check()
            await asyncio.sleep(0.02)
        raise GatewrightError("GW-LOCAL-HEARD", "the answer was not taken up", fix="run the command again")

    async def let_go(self, task_id: str) -> None:
        """Release the task's own brake, and wait until its journal says so."""
        redis = self.control.desk.redis
        if not await Brakes(redis).release(TASK + task_id):
            return
        await self.control.desk.wake(task_id)
        deadline = time.monotonic() + HEARD_S
        while "operator" in (await self.state(task_id)).brakes and time.monotonic() < deadline:
            self.check()
            await asyncio.sleep(POLL_S)

    async def state(self, task: str) -> Task:
        """Read a task."""
        return await self.control.desk.shelf.read(task)

    async def records(self, task: str, start: int, size: int) -> list[Record]:
        """Read the records of a journal from a number on, if there are any."""
        return (
            [decode(line) for line in await self.control.desk.shelf.journals.lines(task, start)] if start < size else []
        )

    async def rest(self, task: Task) -> Deposit | None:
        """Tell what became of an ended task's last delivery, tried at least once; None while control is still at it."""
        now = await deposited(self.control.desk.redis, task.origin.task)
        return now if task.is_sealed and now.tries and not now.since_ms else None

    async def settle(self, task_id: str) -> None:
        """Wait until the worker has tidied up after the last attempt; what it reported counts already."""
        task, deadline = await self.state(task_id), time.monotonic() + SETTLE_S
        jobs, last = self.control.desk.jobs, await deposited(self.control.desk.redis, task_id)
        number = last.number or len(task.attempts)
        while await jobs.status(task_id, number) == "started" and time.monotonic() < deadline:  # noqa: ASYNC110 - RQ's
            await asyncio.sleep(POLL_S)

    def text(self, commitment: str) -> str:
        """Read a blob as text."""
        return self.control.desk.blobs.get(commitment).decode("utf-8", "replace")

    async def diff(self, task: Task) -> str:
        """Read the change as a diff, without the evidence that lies beside it."""
        return await self._compare(task, "--stat", "-p")

    async def diffstat(self, task: Task) -> str:
        """Say how large the change is: lines added, lines removed, files."""
        rows = [row.split("\t") for row in (await self._compare(task, "--numstat")).splitlines()]
        added, gone = (sum(int(row[at]) for row in rows if row[at].isdigit()) for at in (0, 1))
        return f"+{added} \N{MINUS SIGN}{gone} in {len(rows)} file{'' if len(rows) == 1 else 's'}"

    async def _compare(self, task: Task, *flags: str) -> str:
        origin = task.origin
        names = (task.base_commit or origin.base_commit, task.head, "--", ".", ":(exclude).gatewright/tasks")
        out = await self.forge.read(origin.repo, "diff", "--no-ext-diff", "--no-textconv", *flags, *names)
        return out.decode("utf-8", "replace")

    def check(self) -> None:
        """Raise where a part has died."""
        if self._loop.done() and (error := self._loop.exception()):
            raise error
        if self._worker.poll() is not None:
            tail = (self.data / "worker.log").read_text("utf-8", "replace").strip().splitlines()[-5:]
            raise GatewrightError(
                "GW-LOCAL-WORKER", "the worker process ended", why=" / ".join(tail), fix=f"see {self.data}/worker.log"
            )

    async def _deliver(self, event: Event) -> None:
        delivery = Delivery(
            forge=ForgeKind.LOCAL.value,
            host=HOST,
            id=event.delivery,
            event=event.kind.value,
            action="",
            body=msgspec.json.encode(event),
            received_ms=event.at_ms,
        )
        await self.control.inbox.offer(delivery)


def _event(kind: EventKind, repo: Repo, number: int, **more: Any) -> Event:
    return Event(
        kind=kind,
        repo=repo,
        number=number,
        actor=YOU,
        delivery=secrets.token_hex(16),
        at_ms=time.time_ns() // 1_000_000,
        **more,
    )
