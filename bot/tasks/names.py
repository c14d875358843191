"""Numeric account id -> the name it showed last: lives with the instance, never in a journal, and can be erased."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from msgspec.structs import replace
from redis.asyncio import Redis

from bot.model.event import Actor, Repo
from bot.model.task import Task
from bot.tasks.plain import text

KEY: Final = "gw:names"


async def remember(redis: Redis, repo: Repo, actor: Actor) -> None:
    """Keep the name an account shows today."""
    if actor.login:
        await redis.hset(KEY, f"{repo.forge.value}:{repo.host}:{actor.id}", actor.login)


async def logins(redis: Redis, repo: Repo, people: Iterable[int]) -> dict[int, str]:
    """Put names to accounts; one that never spoke to us shows its number."""
    keys = sorted(set(people))
    if not keys:
        return {}
    found = await redis.hmget(KEY, [f"{repo.forge.value}:{repo.host}:{each}" for each in keys])
    return {each: text(name) or f"account {each}" for each, name in zip(keys, found, strict=True)}


async def named(redis: Redis, task: Task) -> Task:
    """Put names to the people of a task, for texts; unknown ones show their number."""
    people = {a.actor.id for a in task.approvals} | {task.origin.labeller.id}
    names = await logins(redis, task.origin.repo, people)
    approvals = tuple(replace(a, actor=replace(a.actor, login=names[a.actor.id])) for a in task.approvals)
    labeller = replace(task.origin.labeller, login=names[task.origin.labeller.id])
    return replace(task, approvals=approvals, origin=replace(task.origin, labeller=labeller))
