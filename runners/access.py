"""Ask control for a credential that opens one repository for one fetch or push."""

from __future__ import annotations

import asyncio
import time
from typing import Final, Protocol

import msgspec
from redis.asyncio import Redis

from bot.audit.keys import Opener
from bot.forges.protocol import GitAccess
from bot.model.access import Ask, context, message
from bot.model.errors import Unavailable
from bot.model.event import ForgeKind
from runners.names import ACCESS_SECONDS, WAKE, Names

POLL: Final = 0.005  # seconds before the first look, twice as long before each next one
POLL_MOST: Final = 0.1


class Signer(Protocol):
    """The runner's key; bot.audit.keys.InstanceKey."""

    def sign(self, message: bytes) -> bytes:
        """Sign a message."""


class Access:
    """The credentials of one attempt; each is asked for anew, used once and never kept."""

    def __init__(self, redis: Redis, names: Names, signer: Signer, forge: ForgeKind, policy: str) -> None:
        self._redis = redis
        self._names = names
        self._signer = signer
        self._forge = forge
        self._policy = policy  # digest of this worker's [policy]
        self._asked = 0

    async def get(self, *, write: bool) -> GitAccess | None:
        """Wait for a credential, None where git needs none; Unavailable when control does not answer in time."""
        if self._forge is ForgeKind.LOCAL:
            return None
        self._asked += 1
        number = self._asked
        knock = self._names.knock(number)
        opener = Opener()
        public = opener.public.hex()
        said = message(knock, public, write=write, policy=self._policy)
        ask = Ask(public, write, self._policy, self._signer.sign(said).hex())
        async with self._redis.pipeline(transaction=True) as pipe:
            pipe.set(self._names.ask(number), msgspec.json.encode(ask), ex=ACCESS_SECONDS)
            pipe.lpush(WAKE, knock)
            await pipe.execute()
        sealed = await self._answer(number)
        opened = opener.open(sealed, context(knock))
        return msgspec.json.decode(opened, type=GitAccess | None)

    async def _answer(self, number: int) -> bytes:
        deadline, pause = time.monotonic() + ACCESS_SECONDS, POLL
        while time.monotonic() < deadline:
            sealed = await self._redis.getdel(self._names.answer(number))
            if sealed:
                return sealed if isinstance(sealed, bytes) else sealed.encode()
            await asyncio.sleep(pause)
            pause = min(2 * pause, POLL_MOST)
        raise Unavailable(
            "GW-ACCESS-TIMEOUT",
            f"control gave no access to the repository within {ACCESS_SECONDS} s",
            why="it is not running, does not know this runner's key, has another [policy], or got no token",
            fix="look at control's log, then `retry`",
        )
