"""Copies of one event: a project's and its group's webhook both fire, with delivery ids of their own."""

from __future__ import annotations

import hashlib
from typing import Final

import msgspec
from redis.asyncio import Redis

from bot.model.event import Event, ForgeKind
from bot.tasks.plain import text

REMEMBERED_S: Final = 7 * 24 * 3600  # as long as a forge could send it again


async def is_first(redis: Redis, event: Event) -> bool:
    """Claim what an event means for its delivery; False where another delivery said the same.

    A delivery that is handed out again after a crash finds its own claim, and goes on.
    """
    if event.repo.forge is ForgeKind.LOCAL:
        return True  # comes once, from the terminal
    if await redis.set(_key(event), event.delivery, nx=True, ex=REMEMBERED_S):
        return True
    return text(await redis.get(_key(event))) == event.delivery


async def release(redis: Redis, event: Event) -> None:
    """Let a copy act after all, because this delivery failed."""
    if event.repo.forge is not ForgeKind.LOCAL and text(await redis.get(_key(event))) == event.delivery:
        await redis.delete(_key(event))


def _key(event: Event) -> str:
    comment = event.comment.id if event.comment else 0
    meaning = [
        event.kind.value, event.repo.key, event.number, event.on_change, event.actor.id, event.label, comment,
        event.head_sha, event.at_ms,
    ]  # fmt: skip
    return f"gw:event:{hashlib.sha256(msgspec.json.encode(meaning)).hexdigest()[:40]}"
