"""Which tasks there are, and which one an issue or a change belongs to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from redis.asyncio import Redis

from bot.audit.chain import Link
from bot.model.event import Repo
from bot.model.task import Task
from bot.tasks.papers import PENDING, Papers, key_at, signed_at
from bot.tasks.plain import text

OPEN: Final = "gw:tasks:open"
ALL: Final = "gw:tasks:all"

# Claims an issue and begins the journal in one step, so that no crash leaves a claim without a task, nor a journal
# without the key that signs it. It needs no lease: nobody else can know the id yet. Answers with the task that holds
# the issue, nothing where the id was used before.
BEGIN: Final = """
local holder = redis.call('GET', KEYS[1])
if holder then return holder end
if redis.call('SADD', KEYS[3], ARGV[1]) == 0 then return '' end
if ARGV[4] ~= '' then
  redis.call('SET', KEYS[6], ARGV[4])
  redis.call('HSET', KEYS[7], 'key.note', ARGV[5])
  redis.call('RPUSH', KEYS[8], ARGV[6])
end
for i = 7, #ARGV do redis.call('RPUSH', KEYS[4], ARGV[i]) end
redis.call('HSET', KEYS[5], 'seq', ARGV[2], 'hash', ARGV[3])
redis.call('SET', KEYS[1], ARGV[1])
redis.call('SADD', KEYS[2], ARGV[1])
return ARGV[1]
"""
RELEASE: Final = """
redis.call('SREM', KEYS[2], ARGV[1])
if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end
"""


class Index:
    """Look-ups that are derived from the journals and rebuilt with them."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._begin = redis.register_script(BEGIN)
        self._release = redis.register_script(RELEASE)

    async def begin(
        self, repo: Repo, issue: int, task: str, tail: Link, lines: Sequence[bytes], papers: Papers | None = None
    ) -> str:
        """Open a task with its first records unless the issue has one; answer whose it is, empty for a used id."""
        keys = [f"gw:issue:{repo.key}:{issue}", OPEN, ALL, f"gw:journal:{task}", f"gw:head:{task}"]
        keys += [key_at(task), signed_at(task), PENDING]
        signed = (papers.key, papers.note, papers.entry) if papers else ("", "", "")
        args: list[str | bytes] = [task, str(tail.seq), tail.hash, *signed, *lines]
        return text(await self._begin(keys=keys, args=args))

    async def restore(self, task: Task) -> None:
        """Know a task again whose look-ups were lost; an issue that has another task by now keeps that one."""
        origin, pull = task.origin, task.pull
        is_heard = not task.state.is_final or (bool(task.unreviewed) and not task.is_sealed)
        async with self._redis.pipeline(transaction=True) as pipe:
            pipe.sadd(ALL, origin.task)
            pipe.sadd(OPEN, origin.task)
            if is_heard:
                pipe.set(f"gw:issue:{origin.repo.key}:{origin.issue}", origin.task, nx=True)
            await pipe.execute()
        if pull is not None and is_heard:
            await self.bind_change(origin.repo, pull.number, origin.task)

    async def release(self, task: str, repo: Repo, issue: int) -> None:
        """Free an issue for its next task, because this one has ended; one that has its next task keeps it."""
        await self._release(keys=[f"gw:issue:{repo.key}:{issue}", _changes(repo)], args=[task])

    async def close(self, task: str) -> None:
        """Look after a task no more: its evidence was delivered."""
        await self._redis.srem(OPEN, task)

    async def bind_change(self, repo: Repo, number: int, task: str) -> None:
        """Remember whose change a number is, and that the task has one open."""
        async with self._redis.pipeline(transaction=True) as pipe:
            pipe.set(f"gw:change:{repo.key}:{number}", task)
            pipe.sadd(_changes(repo), task)
            await pipe.execute()

    async def end_change(self, task: str, repo: Repo) -> None:
        """Count a task's change as open no more, though it is still heard."""
        await self._redis.srem(_changes(repo), task)

    async def open_changes(self, repo: Repo) -> int:
        """Count the tasks of a repository that have a change open."""
        return int(await self._redis.scard(_changes(repo)))

    async def find(self, repo: Repo, number: int, *, is_change: bool) -> str | None:
        """Find the task of an issue or change."""
        kind = "change" if is_change else "issue"
        return text(await self._redis.get(f"gw:{kind}:{repo.key}:{number}")) or None

    async def open_tasks(self) -> list[str]:
        """List the tasks that have not ended, or whose evidence is still to be delivered."""
        return sorted(text(m) for m in await self._redis.smembers(OPEN))

    async def all_tasks(self) -> list[str]:
        """List every task that this Redis knows."""
        return sorted(text(m) for m in await self._redis.smembers(ALL))


def _changes(repo: Repo) -> str:
    return f"gw:changes:{repo.key}"
