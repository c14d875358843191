"""Bring a sealed journal to the audit ref: an attempt like any other, that stands in no journal any more.

Its state lies in Redis alone (`gw:deposit:<task>`); what it pushed is read back from git by the worker that pushed it.
"""

from __future__ import annotations

import hashlib
from typing import Any, Final

import msgspec
from msgspec.structs import replace
from redis.asyncio import Redis

from bot.audit import kinds
from bot.audit.order import sign_order
from bot.model.state import Step
from bot.model.task import Task
from bot.tasks.admit import Entry
from bot.tasks.allotment import queue_of
from bot.tasks.attempts import LOST
from bot.tasks.book import Book
from bot.tasks.desk import Desk
from bot.tasks.giving import give, is_lost, written
from bot.tasks.index import Index
from bot.tasks.plain import raw

PAUSES_MS: Final = (5_000, 30_000, 120_000, 600_000, 3_600_000)  # before another try; the last one for ever
KEPT_MS: Final = 7 * 86_400_000  # a journal in Redis, after it was read back from git
TOLD_S: Final = 400 * 86_400  # where a task's evidence lies


class Deposit(msgspec.Struct, frozen=True):
    """How far the last delivery of a task is; `since_ms` is 0 while none is under way, `done_ms` before it was."""

    tries: int = 0
    number: int = 0
    since_ms: int = 0
    next_ms: int = 0
    done_ms: int = 0
    ref: str = ""
    commit: str = ""
    code: str = ""  # why the last try failed


class Ended(msgspec.Struct, frozen=True):
    """What is still known of a task whose journal has left Redis."""

    task: str
    path: str
    issue: int
    state: str
    ref: str
    commit: str
    sealed_ms: int
    until_ms: int


async def read(redis: Redis, task_id: str) -> Deposit:
    """Read how far the last delivery of a task is."""
    stored = await redis.get(f"gw:deposit:{task_id}")
    return msgspec.json.decode(stored, type=Deposit) if stored else Deposit()


async def ended(redis: Redis, task_id: str) -> Ended | None:
    """Read what is still known of a task that ended; None where nothing is."""
    stored = await redis.get(f"gw:ended:{task_id}")
    return msgspec.json.decode(stored, type=Ended) if stored else None


async def deposit(desk: Desk, book: Book) -> Deposit | None:
    """Order the last delivery, or look what became of it; None until its journal was read back from git."""
    task = book.task
    now = await read(desk.redis, task.origin.task)
    if now.since_ms:
        now = await _followed(desk, book, now)
    if now.done_ms:
        return now
    if not now.since_ms and desk.clock() >= now.next_ms:
        await _order(desk, book, now)
    return None


async def _order(desk: Desk, book: Book, before: Deposit) -> None:
    """Number a try, then order it: an order that a crash lost is found missing, and the next try has another number."""
    task = book.task
    number = len(task.attempts) + before.tries + 1
    now = replace(before, tries=before.tries + 1, number=number, since_ms=desk.clock())
    queue = await queue_of(desk, task)
    order = await written(desk, book, Step.ARCHIVE, number)
    await _note(desk, task, now)
    await give(desk, order, sign_order(order, desk.key), queue)


async def _followed(desk: Desk, book: Book, now: Deposit) -> Deposit:
    """See whether the try under way has ended, and how."""
    task = book.task
    end, pushed = await _reported(desk, task, now.number)
    if end is None and not await is_lost(desk, task, now.number, now.since_ms):
        return now
    if end is not None and end.outcome == "ok" and await _is_whole(desk, task, pushed):
        now = replace(now, since_ms=0, done_ms=desk.clock(), ref=pushed.ref, commit=pushed.commit, code="")
    else:
        code = LOST if end is None else str(end.data.get("code", "")) or "GW-DEPOSIT-DIFFERS"
        pause = PAUSES_MS[min(now.tries, len(PAUSES_MS)) - 1]
        desk.log.warning("deposit.failed", task=task.origin.task, code=code, tries=now.tries, again_in_ms=pause)
        now = replace(now, since_ms=0, next_ms=desk.clock() + pause, code=code)
        await desk.redis.set(f"gw:stop:{task.origin.task}:{now.number}", "1", ex=3_600)
        await desk.redis.delete(f"gw:current:{task.origin.task}")
    await _note(desk, task, now)
    return now


async def _reported(desk: Desk, task: Task, number: int) -> tuple[Entry | None, kinds.Pushed]:
    """Read from an attempt's stream how it ended and what it pushed last; nothing of it is admitted."""
    end, pushed = None, kinds.Pushed(number, "", "", 0)
    entries: Any = await desk.redis.xrange(f"gw:attempt:{task.origin.task}:{number}")
    for _, fields in entries:
        try:
            entry = msgspec.json.decode(raw(fields.get(b"r", b"")), type=Entry)
            if entry.kind == "pushed":
                pushed = msgspec.convert(entry.data, kinds.Pushed)
        except msgspec.MsgspecError as error:
            desk.log.warning("attempt.inadmissible", task=task.origin.task, attempt=number, why=str(error))
            continue
        end = entry if entry.kind == "attempt.ended" else end
    return end, pushed


async def _is_whole(desk: Desk, task: Task, pushed: kinds.Pushed) -> bool:
    """Tell whether what the worker read back from the forge is this journal, byte for byte."""
    lines = await desk.shelf.journals.lines(task.origin.task)
    ours = hashlib.sha256(b"".join(line + b"\n" for line in lines)).hexdigest()
    return (pushed.size, pushed.journal_sha256) == (task.size, ours)


async def _note(desk: Desk, task: Task, now: Deposit) -> None:
    await desk.redis.set(f"gw:deposit:{task.origin.task}", msgspec.json.encode(now))


async def leave(desk: Desk, index: Index, task: Task, done: Deposit) -> None:
    """Count the days that a delivered journal stays in Redis, and keep a line about where it lies."""
    origin, until = task.origin, done.done_ms + KEPT_MS
    told = Ended(
        origin.task, origin.repo.path, origin.issue, task.state.value, done.ref, done.commit, task.changed_ms, until
    )
    names = ("journal", "head", "signed", "deposit", "current", "pushes", "heard", "progress")
    keys = [f"gw:{name}:{origin.task}" for name in names]
    keys += [f"gw:attempt:{origin.task}:{number + 1}" for number in range(len(task.attempts) + done.tries)]
    pulls = (*task.stale_pulls, *((task.pull.number,) if task.pull else ()))
    keys += [f"gw:change:{origin.repo.key}:{number}" for number in pulls]
    async with desk.redis.pipeline(transaction=True) as pipe:
        pipe.set(f"gw:ended:{origin.task}", msgspec.json.encode(told), ex=TOLD_S)
        for key in keys:
            pipe.pexpireat(key, until)
        await pipe.execute()
    await index.close(origin.task)
