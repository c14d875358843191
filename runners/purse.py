"""What the whole instance uses on one day, as its workers add it up in Redis."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, TypeVar

from redis.asyncio import Redis
from redis.exceptions import RedisError

from bot.model.errors import Unavailable
from bot.model.task import Usage
from runners import names

FIELDS: Final = ("calls", "tokens_in", "tokens_out", "micro_usd", "unpriced")
PATIENCE: Final = 8.0  # seconds that Redis may be away before a call is refused
AGAIN: Final = 0.5  # seconds between tries
T = TypeVar("T")


class Purse:
    """The purse of one attempt (gateway.budget.Purse) for the UTC date of its order.

    Both methods raise Unavailable where Redis stays away. What was sent over a connection that broke may count twice,
    and what Redis has of this attempt beyond what it confirmed counts as somebody else's: never less than was used.
    """

    def __init__(self, redis: Redis, date: str, *, patience: float = PATIENCE) -> None:
        self._redis = redis
        self._key = names.day(date)
        self._patience = patience
        self._mine = dict.fromkeys(FIELDS, 0)  # what Redis has of this attempt

    async def others(self) -> Usage:
        """Read what all others have used."""
        sums: Sequence[bytes | str | None] = await self._patiently(lambda: self._redis.hmget(self._key, FIELDS))
        rest = {name: max(int(each or 0) - self._mine[name], 0) for name, each in zip(FIELDS, sums, strict=True)}
        price = None if rest["unpriced"] else rest["micro_usd"]
        return Usage(rest["calls"], rest["tokens_in"], rest["tokens_out"], price)

    async def add(self, usage: Usage) -> None:
        """Add what was used since it was last told."""
        fresh = {
            "calls": usage.calls, "tokens_in": usage.tokens_in, "tokens_out": usage.tokens_out,
            "micro_usd": usage.micro_usd or 0, "unpriced": int(usage.micro_usd is None),
        }  # fmt: skip
        await self._patiently(lambda: self._send(fresh))
        self._mine = {name: self._mine[name] + fresh[name] for name in FIELDS}

    async def _send(self, fresh: dict[str, int]) -> None:
        async with self._redis.pipeline(transaction=True) as pipe:
            for name, number in fresh.items():
                pipe.hincrby(self._key, name, number)
            await pipe.execute()

    async def _patiently(self, ask: Callable[[], Awaitable[T]]) -> T:
        deadline = time.monotonic() + self._patience
        while True:
            try:
                return await ask()
            except (RedisError, OSError) as error:
                if time.monotonic() > deadline:
                    why = str(error)
                    raise Unavailable("GW-REDIS-AWAY", "Redis does not keep what is used today", why=why) from error
                await asyncio.sleep(AGAIN)
