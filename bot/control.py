"""The loop of control: inbox -> records -> converge; wake -> converge; and a sweep that forgets nothing."""

from __future__ import annotations

import asyncio
import re
import secrets
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, Final
from weakref import WeakValueDictionary

import msgspec
from redis.exceptions import RedisError

from bot.forges import github_events, gitlab_events
from bot.inbox import Inbox, Letter
from bot.model.errors import GatewrightError, Refused
from bot.model.event import Event, EventKind, ForgeKind
from bot.model.task import TASK_ID
from bot.tasks.converge import converge_quietly
from bot.tasks.copies import is_first, release
from bot.tasks.desk import Desk
from bot.tasks.handover import hand_over
from bot.tasks.hearing import hear
from bot.tasks.index import Index
from bot.tasks.key_change import take_up_key
from bot.tasks.logbook import Logbook
from bot.tasks.opening import open_task
from bot.tasks.plain import text
from bot.tasks.repeats import answer_repeat
from bot.tasks.retention import prune
from bot.tasks.reviewing import give_way

SWEEP_S: Final = 15.0
PRUNE_S: Final = 3_600.0  # between looks for payloads whose days are over
LEADER: Final = "gw:leader"
LEADER_MS: Final = 10_000
BUSY: Final = 32  # tasks that converge at the same time
ATTEND_S: Final = 3.0  # between signs of life to the other replicas
KNOCK: Final = re.compile(r"access:(?P<task>[0-9]+-[0-9a-z]+):(?P<attempt>[0-9]{1,9}):(?P<number>[0-9]{1,9})")
BLOCK_MS: Final = 1_000  # of one wait for letters
LOG_S: Final = 0.5  # between looks for what the instance log is to take up
PAUSE_S: Final = 1.0  # before Redis is asked again after it failed


class Control:
    """One replica of control; any number may run, tasks are held apart by their leases."""

    def __init__(self, desk: Desk, inbox: Inbox, index: Index) -> None:
        self.desk = desk
        self.inbox = inbox
        self.index = index
        self.logbook = Logbook(desk)
        self._name = f"control-{secrets.token_hex(4)}"
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()  # there while somebody waits
        self._slots = asyncio.Semaphore(BUSY)
        self._next_sweep = 0.0
        self._next_prune = 0.0
        self._stopping = asyncio.Event()
        self._jobs: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Work until `stop` is called; what was begun is finished first."""
        loops = (self._attend, self._read_inbox, self._read_wakes, self._sweep, self._keep_log)
        tasks = [asyncio.create_task(self._forever(loop)) for loop in loops]
        await self._stopping.wait()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.gather(*self._jobs, return_exceptions=True)
        await self.logbook.close()

    def stop(self) -> None:
        """Ask `run` to come to its end."""
        self._stopping.set()

    async def _forever(self, loop: Callable[[], Coroutine[Any, Any, None]]) -> None:
        while not self._stopping.is_set():  # redis-py can swallow a cancellation while it connects
            try:
                await loop()
            except RedisError as error:
                self.desk.log.warning("redis.away", loop=loop.__name__, why=str(error))
                await asyncio.sleep(PAUSE_S)
            except Exception:  # a loop that ended here would leave its work undone without a word
                self.desk.log.exception("control.bug", loop=loop.__name__)
                await asyncio.sleep(PAUSE_S)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        job = asyncio.create_task(work)
        self._jobs.add(job)
        job.add_done_callback(self._reap)

    def _reap(self, job: asyncio.Task[None]) -> None:
        self._jobs.discard(job)
        if not job.cancelled() and (error := job.exception()):
            self.desk.log.error("control.bug", error=repr(error), exc_info=error)

    async def _attend(self) -> None:
        await take_up_key(self.desk)
        await self.inbox.attend(self._name)
        await asyncio.sleep(ATTEND_S)

    async def _read_inbox(self) -> None:
        for letter in await self.inbox.read(self._name, block_ms=BLOCK_MS, count=16):
            await self._slots.acquire()
            self._spawn(self._handle(letter))

    async def _handle(self, letter: Letter) -> None:
        try:
            for event in read(letter):
                await self._take_once(event)
            await self.inbox.done(letter)
        except (GatewrightError, RedisError) as error:
            self.desk.log.warning("delivery.failed", delivery=letter.delivery.id, tries=letter.tries, why=str(error))
            await self.inbox.failed(letter, str(error))
        except Exception as error:
            self.desk.log.exception("delivery.bug", delivery=letter.delivery.id, tries=letter.tries)
            await self.inbox.failed(letter, repr(error))
        finally:
            self._slots.release()

    async def _take_once(self, event: Event) -> None:
        if not await is_first(self.desk.redis, event):
            self.desk.log.info("event.copy", delivery=event.delivery, kind=event.kind.value, repo=event.repo.path)
            return
        try:
            await self.take(event)
        except BaseException:
            await release(self.desk.redis, event)
            raise

    async def take(self, event: Event) -> None:
        """Carry one event through to a converged task."""
        task = await self.index.find(event.repo, event.number, is_change=event.on_change)
        if event.kind is EventKind.LABELED:
            label, trigger = event.label.lower(), self.desk.settings.trigger
            if label == trigger.label.lower() and (task is None or await give_way(self.desk, self.index, task)):
                task = await open_task(self.desk, self.index, event)
            elif label == trigger.label.lower() and task is not None:
                await answer_repeat(self.desk, task, event)
            elif label == trigger.pause_label.lower() and task is not None:
                await self._hear(task, event)
            else:
                return
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
            if asked := KNOCK.fullmatch(word):
                await hand_over(self.desk, asked["task"], int(asked["attempt"]), int(asked["number"]))
            elif TASK_ID.fullmatch(word):
                await self.converge(word)
            else:
                self.desk.log.warning("wake.unreadable", word=word[:64])
        except RedisError as error:
            self.desk.log.warning("redis.away", loop="wake", why=str(error))  # the sweep comes back to it
        finally:
            self._slots.release()

    async def converge(self, task: str) -> None:
        """Converge one task; calls for the same task wait for each other."""
        async with self._lock(task):
            await converge_quietly(self.desk, self.index, task)

    def _lock(self, task: str) -> asyncio.Lock:
        lock = self._locks.get(task) or asyncio.Lock()
        self._locks[task] = lock
        return lock

    async def _sweep(self) -> None:
        """Converge every open task from time to time, as the one leader among the replicas; a new leader at once."""
        now = asyncio.get_running_loop().time()
        if await self._leads() and now >= self._next_sweep:
            self._next_sweep = now + SWEEP_S
            if now >= self._next_prune:
                self._next_prune = now + PRUNE_S
                await prune(self.desk, self.index)
            for task in await self.index.open_tasks():
                await self._slots.acquire()
                self._spawn(self._woken(task))
        await asyncio.sleep(ATTEND_S)

    async def _keep_log(self) -> None:
        """Keep the instance log, as the one leader among the replicas."""
        if not await self._leads():
            if self.logbook.is_open:
                await self.logbook.close()
        elif await self.logbook.turn():
            return  # there may be more
        await asyncio.sleep(LOG_S)

    async def _leads(self) -> bool:
        redis = self.desk.redis
        if await redis.set(LEADER, self._name, nx=True, px=LEADER_MS):
            return True
        if text(await redis.get(LEADER)) != self._name:
            return False
        await redis.pexpire(LEADER, LEADER_MS)
        return True


def read(letter: Letter) -> tuple[Event, ...]:
    """Read a stored delivery as events; none where it is not for us after all."""
    delivery = letter.delivery
    if delivery.forge == ForgeKind.LOCAL:
        return (msgspec.json.decode(delivery.body, type=Event),)
    found = PARSERS[delivery.forge](
        delivery.event,
        delivery.payload(),
        delivery=delivery.id,
        host=delivery.host,
        received_ms=delivery.received_ms,
    )
    return found if isinstance(found, tuple) else (found,) if found else ()


PARSERS: Final[Mapping[str, Callable[..., Event | tuple[Event, ...] | None]]] = {
    ForgeKind.GITHUB: github_events.parse,
    ForgeKind.GITLAB: gitlab_events.parse,
}
