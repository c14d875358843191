"""Show that an attempt lives, and notice when it must not any more."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Final

import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from bot.model.errors import GatewrightError, Superseded, Unavailable
from runners.names import ALIVE_SECONDS, Names

BEAT: Final = 5.0  # seconds between heartbeats
LOOK: Final = 0.4  # seconds between looks at the stop key


class Stopped(GatewrightError):
    """Control, or the worker that shuts down, wants the attempt to end now."""


async def beat(redis: Redis, names: Names, claim: str, end: Callable[[Exception], None]) -> None:
    """Renew the heartbeat and watch for a stop until cancelled; call `end` once with the reason when there is one."""
    last_beat, last_seen = 0.0, time.monotonic()
    while True:
        try:
            if time.monotonic() - last_beat >= BEAT:
                await redis.set(names.alive, claim, ex=ALIVE_SECONDS)
                last_beat = time.monotonic()
            stop, current, holder = await redis.mget(names.stop, names.current, names.claim)
            last_seen = time.monotonic()
        except (RedisError, OSError) as error:
            structlog.get_logger().warning("redis away", task=names.task, attempt=names.attempt, error=str(error))
            # Past the heartbeat's life control has given the attempt up, and we cannot learn that it did.
            if time.monotonic() - last_seen > 2 * ALIVE_SECONDS:
                end(Unavailable("GW-REDIS-AWAY", "Redis was away for too long", why=str(error)))
                return
        else:
            reason = _reason(names, claim, stop, current, holder)
            if reason is not None:
                end(reason)
                return
        await asyncio.sleep(LOOK)


def _reason(names: Names, claim: str, stop: object, current: object, holder: object) -> Exception | None:
    if current != str(names.attempt).encode() or holder != claim.encode():
        return Superseded("GW-ATTEMPT-SUPERSEDED", f"attempt {names.attempt} of {names.task} is no longer current")
    if stop is not None:
        return Stopped("GW-ATTEMPT-STOPPED", "the attempt was stopped", why="control asked for it")
    return None
