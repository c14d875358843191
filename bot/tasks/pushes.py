"""Who pushed to our branch, as deliveries told it: a branch only says what stands there, not by whom.

What is told while an attempt runs, or out of order, is not lost: four eyes hold for everybody who ever pushed.
"""

from __future__ import annotations

from typing import Final

from bot.model.event import Actor
from bot.model.task import Task
from bot.tasks.desk import Desk
from bot.tasks.plain import text

KEEP_S: Final = 30 * 86_400
GRACE_MS: Final = 45_000  # that the delivery of a push may take, before its pusher is nobody known


async def note(desk: Desk, task: str, head: str, pusher: Actor) -> None:
    """Keep in mind that somebody pushed a commit."""
    if head and pusher.id:
        await desk.redis.hset(_key(task), head, str(pusher.id))
        await desk.redis.expire(_key(task), KEEP_S)


async def forget(desk: Desk, task: str) -> None:
    """Drop what was told: the tree is the one that was judged, so it does not matter who moved the branch."""
    await desk.redis.delete(_key(task))


async def pushers(desk: Desk, task: Task, head: str) -> tuple[int, ...] | None:
    """Name who pushed what is not recorded yet; 0 where nobody is named, None while that may still come."""
    told = {text(commit): int(text(who)) for commit, who in (await desk.redis.hgetall(_key(task.origin.task))).items()}
    me = (await desk.me(task.origin.repo, task.origin.installation)).id
    news = sorted(set(told.values()) - {me, *task.committers})
    if head == task.head:
        return tuple(who for who in news if told.get(head) != who or task.bound_head == head)
    if head in told:
        return (told[head], *(who for who in news if who != told[head]))
    return (0, *news) if await _is_over(desk, task.origin.task, head) else None


async def _is_over(desk: Desk, task: str, head: str) -> bool:
    key = f"{_key(task)}:{head}"
    await desk.redis.set(key, str(desk.clock()), nx=True, ex=KEEP_S)
    return desk.clock() - int(text(await desk.redis.get(key)) or desk.clock()) >= GRACE_MS


def _key(task: str) -> str:
    return f"gw:pushes:{task}"
