"""What this instance used on a day (UTC), in Redis: workers add each model call, control keeps the wall clock."""

from __future__ import annotations

from typing import Any, Final

from redis.asyncio import Redis

from bot.model.task import Attempt, Task, Usage
from bot.tasks.budget import Today, day_of
from bot.tasks.plain import text

KEEP_S: Final = 8 * 86_400
FIELDS: Final = ("calls", "tokens_in", "tokens_out", "micro_usd", "unpriced")  # runners.purse adds to them


async def read(redis: Redis, day: str, now_ms: int) -> Today:
    """Read a day, and have it forgotten after eight; workers may add to it and cannot make it last or vanish."""
    async with redis.pipeline(transaction=True) as pipe:
        pipe.hincrby(f"gw:day:{day}", "calls", 0)  # there from now on, so that it can expire
        pipe.expire(f"gw:day:{day}", KEEP_S)
        pipe.hmget(f"gw:day:{day}", FIELDS)
        pipe.hvals(f"gw:minutes:{day}")
        _, _, sums, spans = await pipe.execute()
    calls, tokens_in, tokens_out, micro_usd, unpriced = (max(int(each or 0), 0) for each in sums)
    return Today(
        Usage(calls, tokens_in, tokens_out, None if unpriced else micro_usd),
        sum(_ms(text(each), now_ms) for each in spans),
    )


async def note(redis: Redis, task: Task, now_ms: int) -> None:
    """Keep how long the task's attempts of today and yesterday took; saying it again changes nothing."""
    found: dict[str, dict[str, str]] = {}
    for attempt in task.attempts:
        if attempt.step.phase and now_ms - attempt.started_ms < 2 * 86_400_000:
            found.setdefault(day_of(attempt.started_ms), {})[f"{task.origin.task}:{attempt.number}"] = _span(attempt)
    if not found:
        return
    async with redis.pipeline(transaction=True) as pipe:
        for day, spans in found.items():
            mapping: dict[Any, Any] = dict(spans)
            pipe.hset(f"gw:minutes:{day}", mapping=mapping)
            pipe.expire(f"gw:minutes:{day}", KEEP_S)
        await pipe.execute()


def _span(attempt: Attempt) -> str:
    """Write how long an attempt took, or since when it runs; one that no worker has taken up yet took no time."""
    if attempt.outcome:
        return str(attempt.worked(attempt.ended_ms))
    return f"since:{attempt.heard_ms}" if attempt.heard_ms else "0"


def _ms(span: str, now_ms: int) -> int:
    since = span.removeprefix("since:")
    return max(now_ms - int(since), 0) if since != span else int(span)
