"""The loop of control: inbox -> records -> converge; wake -> converge; and a sweep that forgets nothing."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Coroutine
from typing import Any, Final

import msgspec
from redis.exceptions import RedisError

from bot.forges import github_events
from bot.inbox import Inbox, Letter
from bot.model.errors import GatewrightError, Refused
from bot.model.event import Event, EventKind, ForgeKind
from bot.tasks.converge import converge_quietly
from bot.tasks.desk import Desk
from bot.tasks.handover import hand_over
from bot.tasks.hearing import hear
from bot.tasks.index import Index
from bot.tasks.opening import open_task
from bot.tasks.plain import text
from bot.tasks.repeats import answer_repeat

SWEEP_S: Final = 15.0
LEADER_MS: Final = 45_000
BUSY: Final = 32  # tasks that converge at the same time
PAUSE_S: Final = 1.0  # before Redis is asked again after it failed


class Control:
    """One replica of control; any number may run, tasks are held apart by their leases."""

    def __init__(self, desk: Desk, inbox: Inbox, index: Index) -> None:
        self.desk = desk
        self.inbox = inbox
        self.index = index
        self._name = f"control-{secrets.token_hex(4)}"
        self._locks: dict[str, asyncio.Lock] = {}
        self._slots = asyncio.Semaphore(BUSY)
        self._stopping = asyncio.Event()
        self._jobs: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Work until `stop` is called; what was begun is finished first."""
        loops = [self._forever(loop) for loop in (self._read_inbox, self._read_wakes, self._sweep)]
        tasks = [asyncio.create_task(loop) for loop in loops]
        await self._stopping.wait()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.gather(*self._jobs, return_exceptions=True)

    def stop(self) -> None:
        """Ask `run` to come to its end."""
        self._stopping.set()

    async def _forever(self, loop: Callable[[], Coroutine[Any, Any, None]]) -> None:
        while True:
            try:
                await loop()
            except RedisError as error:
                self.desk.log.warning("redis.away", loop=loop.__name__, why=str(error))
                await asyncio.sleep(PAUSE_S)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        job = asyncio.create_task(work)
        self._jobs.add(job)
        job.add_done_callback(self._reap)

    def _reap(self, job: asyncio.Task[None]) -> None:
        self._jobs.discard(job)
        if not job.cancelled() and (error := job.exception()):
            self.desk.log.error("control.bug", error=repr(error), exc_info=error)

    async def _read_inbox(self) -> None:
        for letter in await self.inbox.read(self._name, block_ms=1_000, count=16):
            await self._slots.acquire()
            self._spawn(self._handle(letter))

    async def _handle(self, letter: Letter) -> None:
        try:
            event = read(letter)
            if event is not None:
                await self.take(event)
            await self.inbox.done(letter)
        except (GatewrightError, RedisError) as error:
            self.desk.log.warning("delivery.failed", delivery=letter.delivery.id, tries=letter.tries, why=str(error))
            await self.inbox.failed(letter, str(error))
        except Exception as error:
            self.desk.log.exception("delivery.bug", delivery=letter.delivery.id, tries=letter.tries)
            await self.inbox.failed(letter, repr(error))
        finally:
            self._slots.release()

    async def take(self, event: Event) -> None:
        """Carry one event through to a converged task."""
        task = await self.index.find(event.repo, event.number, is_change=event.on_change)
        if event.kind is EventKind.LABELED:
            if event.label.lower() != self.desk.settings.trigger.label.lower():
                return
            if task is not None:
                await answer_repeat(self.desk, task, event)
            else:
                task = await open_task(self.desk, self.index, event)
        elif task is not None:
            await self._hear(task, event)
        if task is not None:
            await self.converge(task)

    async def _hear(self, task: str, event: Event) -> None:
        async with self._lock(task), self.desk.shelf.open(task) as book:
            try:
                await hear(self.desk, book, event)
            except Refused as error:
                self.desk.log.info("event.refused", task=task, kind=event.kind.value, code=error.code, why=error.what)

    async def _read_wakes(self) -> None:
        popped = await self.desk.redis.brpop(["gw:wake"], timeout=1)
        if popped is None:
            return
        word = text(popped[1])
        await self._slots.acquire()
        self._spawn(self._woken(word))

    async def _woken(self, word: str) -> None:
        try:
            if word.startswith("access:"):
                _, task, attempt, number = word.split(":")
                await hand_over(self.desk, task, int(attempt), int(number))
            else:
                await self.converge(word)
        finally:
            self._slots.release()

    async def converge(self, task: str) -> None:
        """Converge one task; calls for the same task wait for each other."""
        async with self._lock(task):
            await converge_quietly(self.desk, self.index, task)

    def _lock(self, task: str) -> asyncio.Lock:
        return self._locks.setdefault(task, asyncio.Lock())

    async def _sweep(self) -> None:
        """Converge every open task from time to time, as the one leader among the replicas."""
        is_leader = await self.desk.redis.set("gw:leader", self._name, nx=True, px=LEADER_MS)
        holder = await self.desk.redis.get("gw:leader")
        if is_leader or holder == self._name.encode():
            await self.desk.redis.pexpire("gw:leader", LEADER_MS)
            for task in await self.index.open_tasks():
                await self._slots.acquire()
                self._spawn(self._woken(task))
        await asyncio.sleep(SWEEP_S)


def read(letter: Letter) -> Event | None:
    """Read a stored delivery as an event; None where it is not for us after all."""
    delivery = letter.delivery
    if delivery.forge == ForgeKind.LOCAL:
        return msgspec.json.decode(delivery.body, type=Event)
    return github_events.parse(
        delivery.event,
        delivery.payload(),
        delivery=delivery.id,
        host=delivery.host,
        received_ms=delivery.received_ms,
    )
