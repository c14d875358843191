"""Brakes that operators and people pull for a task, a repository or the whole instance; journals note what they did.

A brake only ever holds tasks back, so whoever runs the instance may pull one without being asked who approved it.
"""

from __future__ import annotations

from typing import Final, Literal

import msgspec
from redis.asyncio import Redis

from bot.model.event import Repo
from bot.tasks.plain import raw, text

INSTANCE: Final = "instance"
TASK: Final = "task:"
PREFIX: Final = "gw:brake:"
UNREADABLE: Final = "what was written about it cannot be read"
REASON_MAX: Final = 500  # characters

Kind = Literal["instance", "repository", "operator"]


class Brake(msgspec.Struct, frozen=True):
    """Who holds what back, why, and since when; `scope` is `instance`, a repository's key, or `task:<id>`."""

    scope: str
    by: str
    reason: str
    at_ms: int

    @property
    def kind(self) -> Kind:
        """Name it as records of `pause` do; `operator` holds a single task from outside."""
        if self.scope == INSTANCE:
            return "instance"
        return "operator" if self.scope.startswith(TASK) else "repository"


class Brakes:
    """All brakes, one key each; they hold until somebody releases them, whatever is restarted."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def pull(self, scope: str, by: str, reason: str, at_ms: int) -> None:
        """Hold a scope back; one that is held already gets the new name and reason."""
        brake = Brake(scope, by, reason[:REASON_MAX], at_ms)
        await self._redis.set(_key(scope), msgspec.json.encode(brake))

    async def release(self, scope: str) -> bool:
        """Let a scope go; tell whether it was held."""
        return bool(await self._redis.delete(_key(scope)))

    async def of(self, repo: Repo, task: str = "") -> tuple[Brake, ...]:
        """List what holds a repository, and with it a task: instance, repository, then the task's own."""
        scopes = [INSTANCE, repo.key, *([TASK + task] if task else [])]
        found = await self._redis.mget([_key(scope) for scope in scopes])
        return tuple(_read(scope, value) for scope, value in zip(scopes, found, strict=True) if value is not None)

    async def all(self) -> tuple[Brake, ...]:
        """List every brake that is pulled, oldest first; walks through all keys, so it is for people who ask."""
        found = []
        async for key in self._redis.scan_iter(match=f"{PREFIX}*", count=1_000):
            value = await self._redis.get(key)
            if value is not None:  # released meanwhile
                found.append(_read(_scope(text(key)), value))
        return tuple(sorted(found, key=lambda brake: (brake.at_ms, brake.scope)))


def _key(scope: str) -> str:
    return f"{PREFIX}{scope}" if scope == INSTANCE or scope.startswith(TASK) else f"{PREFIX}repo:{scope}"


def _scope(key: str) -> str:
    return key.removeprefix(PREFIX).removeprefix("repo:")


def _read(scope: str, value: bytes | str) -> Brake:
    """Read a brake; one that cannot be read holds all the same."""
    try:
        return msgspec.structs.replace(msgspec.json.decode(raw(value), type=Brake), scope=scope)
    except (msgspec.MsgspecError, UnicodeError):
        return Brake(scope, "", UNREADABLE, 0)
