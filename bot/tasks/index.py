"""Which tasks there are, and which one an issue or a change belongs to."""

from __future__ import annotations

from typing import Final

from redis.asyncio import Redis

from bot.model.event import ForgeKind, Repo
from bot.model.task import new_task_id
from bot.tasks.plain import text

OPEN: Final = "gw:tasks:open"
ALL: Final = "gw:tasks:all"

# Claims an issue for a task in one step; answers with the task that holds it already.
CLAIM: Final = """
local holder = redis.call('GET', KEYS[1])
if holder then return holder end
if redis.call('SADD', KEYS[3], ARGV[1]) == 0 then return 'taken' end
redis.call('SET', KEYS[1], ARGV[1])
redis.call('SADD', KEYS[2], ARGV[1])
return ARGV[1]
"""


class Index:
    """Look-ups that are derived from the journals and rebuilt with them."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._claim = redis.register_script(CLAIM)

    async def claim(self, repo: Repo, issue: int) -> tuple[str, bool]:
        """Claim a fresh id for an issue; the second value is False where the issue has an open task already."""
        while True:
            wanted = new_task_id(0 if repo.forge is ForgeKind.LOCAL else issue)
            holder = text(await self._claim(keys=[f"gw:issue:{repo.key}:{issue}", OPEN, ALL], args=[wanted]))
            if holder != "taken":
                return holder, holder == wanted

    async def release(self, task: str, repo: Repo, issue: int) -> None:
        """Free an issue for its next task, because this one has ended or came to nothing."""
        await self._redis.srem(OPEN, task)
        await self._redis.delete(f"gw:issue:{repo.key}:{issue}")

    async def bind_change(self, repo: Repo, number: int, task: str) -> None:
        """Remember whose change a number is."""
        await self._redis.set(f"gw:change:{repo.key}:{number}", task)

    async def find(self, repo: Repo, number: int, *, is_change: bool) -> str | None:
        """Find the task of an issue or change."""
        kind = "change" if is_change else "issue"
        return text(await self._redis.get(f"gw:{kind}:{repo.key}:{number}")) or None

    async def open_tasks(self) -> list[str]:
        """List the tasks that have not ended."""
        return sorted(text(m) for m in await self._redis.smembers(OPEN))

    async def all_tasks(self) -> list[str]:
        """List every task that this Redis knows."""
        return sorted(text(m) for m in await self._redis.smembers(ALL))
