"""Bring journals back from git after Redis lost them, or their ends; what nobody wrote is never made up.

A journal that git has more of is adopted. Two that differ are left as they are, and the task waits for a person.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Final

from redis.asyncio import Redis

from bot.audit import kinds
from bot.audit.chain import Draft, Link, digest, extend
from bot.audit.record import Who, decode
from bot.model.task import Task
from bot.tasks.fold import fold
from bot.tasks.index import Index
from bot.tasks.journal import Journals, Lease
from bot.tasks.papers import key_at, signed_at

CHUNK: Final = 1_000  # records that are put back in one step
DIVERGED: Final = "GW-RECOVER-DIVERGED"
KEYLESS: Final = "GW-RECOVER-KEY"


class Came(StrEnum):
    """What became of one task."""

    WHOLE = "whole"  # Redis has all of it
    ENDED = "ended"  # sealed in git, and Redis needs it no more
    ADOPTED = "adopted"
    KEYLESS = "adopted and blocked: the key that signs it is gone"
    DIVERGED = "blocked: Redis holds another journal"


class Recovery:
    """Puts journals that were verified back into one Redis."""

    def __init__(self, redis: Redis, who: Who, now_ms: int) -> None:
        self._redis = redis
        self._journals = Journals(redis)
        self._index = Index(redis)
        self._who = who
        self._now_ms = now_ms

    async def bring(self, lines: Sequence[bytes], signed: Mapping[str, bytes]) -> Came:
        """Put back what Redis lacks of one journal, with what was signed of it (paths below `audit/`)."""
        task = fold(map(decode, lines))
        task_id = task.origin.task
        async with self._journals.lease(task_id) as lease:
            here = await self._journals.lines(task_id)
            common = min(len(here), len(lines))
            if here[:common] != list(lines[:common]):
                return await self._diverged(lease, here)
            if task.is_sealed and not here:
                return Came.ENDED
            if len(lines) <= len(here):
                await self._index.restore(fold(map(decode, here)))
                return Came.WHOLE
            return await self._adopt(lease, task, lines, len(here), signed)

    async def _adopt(
        self, lease: Lease, task: Task, lines: Sequence[bytes], found: int, signed: Mapping[str, bytes]
    ) -> Came:
        """Append what is lacking, and a record that says so, where the journal may go on at all."""
        for path, content in signed.items():
            await self._redis.hset(signed_at(task.origin.task), path, content)
        is_keyless = await self._is_keyless(lines)
        rest = list(lines[found:])
        drafts: list[Draft] = []
        if not task.is_sealed:
            recovered = kinds.JournalRecovered(lacked=len(rest), found=found)
            drafts.append(Draft("journal.recovered", recovered, self._who))
            if is_keyless and not task.state.is_final:
                drafts.append(Draft("task.blocked", kinds.TaskBlocked(KEYLESS), self._who))
        tail = Link(len(lines) - 1, digest(lines[-1]))
        added, _ = extend(tail, drafts, task=task.origin.task, now_ms=self._now_ms)
        task = fold(map(decode, added), task)
        await self._append(lease, lines[:found], [*rest, *added], decode(lines[0]).prev)
        await self._index.restore(task)
        return Came.KEYLESS if is_keyless and not task.is_sealed else Came.ADOPTED

    async def _append(self, lease: Lease, before: Sequence[bytes], lines: Sequence[bytes], genesis: str) -> None:
        link = Link(len(before) - 1, digest(before[-1]) if before else genesis)
        for at in range(0, len(lines), CHUNK):
            chunk = lines[at : at + CHUNK]
            after = Link(link.seq + len(chunk), digest(chunk[-1]))
            await self._journals.append(lease, link, after, chunk)
            link = after

    async def _diverged(self, lease: Lease, here: Sequence[bytes]) -> Came:
        """Have a person look at a task whose journal in Redis is not the one in git, if it can still be stopped."""
        task = fold(map(decode, here))
        if not task.is_sealed and not task.state.is_final and task.blocked_code != DIVERGED:
            tail = Link(len(here) - 1, digest(here[-1]))
            blocked = Draft("task.blocked", kinds.TaskBlocked(DIVERGED), self._who)
            added, after = extend(tail, [blocked], task=lease.task, now_ms=self._now_ms)
            await self._journals.append(lease, tail, after, added)
        return Came.DIVERGED

    async def _is_keyless(self, lines: Sequence[bytes]) -> bool:
        """Tell whether nobody can sign any more for a journal that names who does."""
        first = decode(lines[0])
        return bool(first.data.get("task_vkey")) and not await self._redis.exists(key_at(first.task))
