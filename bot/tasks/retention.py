"""How long payloads stay: what each sealed task named, and what of it may go.

A file a task, `<data_dir>/retention/<task>.json`, outlives the journal in Redis. It also says what was decided to be
deleted: the log takes up nothing else about payloads, and only what stands in the log is deleted.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import contextmanager
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Final

import msgspec
from redis.asyncio import Redis

from bot.audit import kinds
from bot.audit.blobs import Blobs
from bot.audit.entries import BlobsPruned, encode
from bot.audit.record import Record, data_of, decode
from bot.settings import Audit
from bot.tasks.desk import Desk
from bot.tasks.index import Index
from bot.tasks.papers import PENDING

FOLDER: Final = "retention"
DAY_MS: Final = 86_400_000
REASON: Final = "retention"
MOST: Final = 500  # commitments of one entry of the log

Lines = Callable[[str], Awaitable[list[bytes]]]


class Decision(msgspec.Struct, frozen=True):
    """What is to be deleted, and why."""

    reason: str
    targets: tuple[str, ...]


class Kept(msgspec.Struct, frozen=True):
    """What is known about the payloads of a sealed task."""

    task: str
    path: str
    data_class: str
    ended_ms: int
    blobs: tuple[str, ...]
    decided: tuple[Decision, ...] = ()

    def entries(self) -> Iterator[BlobsPruned]:
        """Spell what was decided as entries of the instance log."""
        for one in self.decided:
            for at in range(0, len(one.targets), MOST):
                yield BlobsPruned(one.reason, one.targets[at : at + MOST], self.task)


def is_held(audit: Audit, task: str, path: str) -> bool:
    """Tell whether nothing of a task may be deleted by now."""
    return any(fnmatchcase(task, one) or fnmatchcase(path, one) for one in audit.legal_hold)


def is_due(kept: Kept, audit: Audit, now_ms: int) -> bool:
    """Tell whether the days of a task's class are over; a class without days is kept for ever."""
    days = audit.retention.get(kept.data_class)
    return days is not None and now_ms - kept.ended_ms > days * DAY_MS


def read(data: Path, task: str) -> Kept | None:
    """Read what is known of a sealed task; None where nothing is."""
    try:
        return msgspec.json.decode(_path(data, task).read_bytes(), type=Kept)
    except FileNotFoundError:
        return None


def write(data: Path, kept: Kept) -> None:
    """Store what is known of a sealed task, durably, whole or not at all."""
    path = _path(data, kept.task)
    scratch = path.with_suffix(".new")
    with os.fdopen(os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600), "wb") as file:
        file.write(msgspec.json.encode(kept))
        file.flush()
        os.fsync(file.fileno())
    scratch.replace(path)


@contextmanager
def alone(data: Path) -> Iterator[None]:
    """Let one process at a time decide what goes: the leader, or a person's command."""
    folder = data / FOLDER
    folder.mkdir(mode=0o700, exist_ok=True)
    with (folder / ".lock").open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def summary(lines: Iterable[bytes], path: str) -> Kept:
    """Gather from a journal what its payloads are called, and when they began to age."""
    records = [decode(line) for line in lines]
    opened = data_of(records[0])
    named = dict.fromkeys(ref.commit for record in records for ref in record.refs)
    gone = {_target(record) for record in records}
    data_class = opened.data_class if isinstance(opened, kinds.TaskOpened) else ""
    return Kept(records[0].task, path, data_class, records[-1].ts, tuple(one for one in named if one not in gone))


async def retain(desk: Desk, task: str, path: str) -> None:
    """Remember what a sealed journal named, before it leaves Redis."""
    lines = await desk.shelf.journals.lines(task)
    with alone(desk.data):
        if read(desk.data, task) is None:
            write(desk.data, summary(lines, path))


async def prune(desk: Desk, index: Index) -> None:
    """Decide what is due, and ask the log to say so; only the leader calls this."""
    audit = desk.settings.audit
    if not audit.log or not (desk.data / FOLDER).is_dir():
        return
    live = await named(desk.shelf.journals.lines, await index.open_tasks())
    with alone(desk.data):
        names = sorted(path.stem for path in (desk.data / FOLDER).glob("*.json"))
        all_kept = [kept for name in names if (kept := read(desk.data, name))]
        free = [one for one in all_kept if not is_held(audit, one.task, one.path)]
        due = {one.task for one in free if is_due(one, audit, desk.clock())}
        live.update(blob for one in all_kept if one.task not in due for blob in one.blobs)
        for at, kept in enumerate(free):
            if targets := tuple(one for one in kept.blobs if kept.task in due and one not in live):
                free[at] = decided(kept, Decision(REASON, targets))
                write(desk.data, free[at])
                desk.log.info("retention.due", task=kept.task, blobs=len(targets), data_class=kept.data_class)
    for kept in free:
        await ask(desk.redis, desk.blobs, kept)


def decided(kept: Kept, decision: Decision) -> Kept:
    """Move what is to be deleted from what is kept to what was decided."""
    rest = tuple(one for one in kept.blobs if one not in decision.targets)
    return msgspec.structs.replace(kept, blobs=rest, decided=(*kept.decided, decision))


async def ask(redis: Redis, blobs: Blobs, kept: Kept) -> None:
    """Ask the log for what was decided and is not done; asking again does no harm."""
    for entry in kept.entries():
        line = encode(entry)
        if any(blobs.has(one) for one in entry.targets) and await redis.lpos(PENDING, line.decode()) is None:
            await redis.rpush(PENDING, line)


def may_go(data: Path, audit: Audit, entry: BlobsPruned) -> bool:
    """Tell whether this machine decided what an entry says, and nobody holds it since."""
    kept = read(data, entry.task)
    return kept is not None and entry in kept.entries() and not is_held(audit, kept.task, kept.path)


def carry_out(blobs: Blobs, entry: BlobsPruned) -> None:
    """Delete what the log says is deleted."""
    for one in entry.targets:
        blobs.delete(one)


async def named(lines: Lines, tasks: Iterable[str]) -> set[str]:
    """Gather what the journals of these tasks name: of a task that lives nothing is deleted in passing."""
    return {ref.commit for task in tasks for line in await lines(task) for ref in decode(line).refs}


def _target(record: Record) -> str:
    data = data_of(record)
    return data.target if isinstance(data, kinds.BlobRedacted) else ""


def _path(data: Path, task: str) -> Path:
    return data / FOLDER / f"{task}.json"
