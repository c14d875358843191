"""Journals in Redis: append-only lists behind a lease and a compare-and-set on the head."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
from collections.abc import AsyncIterator, Sequence
from typing import Final

import msgspec
from redis.asyncio import Redis
from redis.exceptions import RedisError

from bot.audit.chain import Link
from bot.model.errors import Superseded
from bot.tasks.plain import raw, text

LEASE_MS: Final = 10_000
RENEW_S: Final = 3.0
WAIT_S: Final = 20.0  # longer than a lease: what a killed control held is free before anybody gives up

# One step for Redis: nothing is appended unless the lease is ours and the head is where we think it is.
APPEND: Final = """
if redis.call('GET', KEYS[3]) ~= ARGV[1] then return 'lease' end
local seq = redis.call('HGET', KEYS[2], 'seq') or '-1'
local hash = redis.call('HGET', KEYS[2], 'hash') or ARGV[3]
if seq ~= ARGV[2] or hash ~= ARGV[3] then return 'head' end
for i = 8, #ARGV do redis.call('RPUSH', KEYS[1], ARGV[i]) end
redis.call('HSET', KEYS[2], 'seq', ARGV[4], 'hash', ARGV[5])
if ARGV[6] ~= '' then redis.call('HSET', KEYS[2], 'admitted:' .. ARGV[6], ARGV[7]) end
return 'ok'
"""
RENEW: Final = "return redis.call('GET', KEYS[1]) == ARGV[1] and redis.call('PEXPIRE', KEYS[1], ARGV[2]) or 0"
RELEASE: Final = "return redis.call('GET', KEYS[1]) == ARGV[1] and redis.call('DEL', KEYS[1]) or 0"


class Admitted(msgspec.Struct, frozen=True):
    """Up to where an attempt's stream has been taken into the journal."""

    attempt: int
    stream_id: str


class Lease:
    """The right to write one task's journal, renewed while it is held."""

    def __init__(self, task: str, token: str) -> None:
        self.task = task
        self.token = token
        self.lost = False


class Journals:
    """All journals in flight; only control holds one of these with the right to write."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._append = redis.register_script(APPEND)
        self._renew = redis.register_script(RENEW)
        self._release = redis.register_script(RELEASE)

    async def lines(self, task: str, start: int = 0) -> list[bytes]:
        """Read the stored lines from a record number on."""
        return [raw(line) for line in await self._redis.lrange(f"gw:journal:{task}", start, -1)]

    async def head(self, task: str) -> Link | None:
        """Read where the journal ends, None where there is none."""
        seq, digest = await self._redis.hmget(f"gw:head:{task}", ["seq", "hash"])
        return None if seq is None else Link(int(seq), text(digest))

    async def admitted(self, task: str, attempt: int) -> str:
        """Read up to which entry an attempt's stream was taken in; `0` for none."""
        value = await self._redis.hget(f"gw:head:{task}", f"admitted:{attempt}")
        return text(value) or "0"

    @contextlib.asynccontextmanager
    async def lease(self, task: str, wait_s: float = WAIT_S) -> AsyncIterator[Lease]:
        """Hold the one lease of a task; raise Superseded when another replica keeps it for too long."""
        lease = Lease(task, secrets.token_hex(16))
        key = f"gw:lease:{task}"
        give_up = asyncio.get_running_loop().time() + wait_s
        while not await self._redis.set(key, lease.token, nx=True, px=LEASE_MS):
            if asyncio.get_running_loop().time() > give_up:
                raise Superseded("GW-LEASE-BUSY", f"another control holds the lease of task {task}")
            await asyncio.sleep(0.02)
        renewer = asyncio.create_task(self._keep(lease))
        try:
            yield lease
        finally:
            renewer.cancel()
            await self._release(keys=[key], args=[lease.token])

    async def _keep(self, lease: Lease) -> None:
        while not lease.lost:
            await asyncio.sleep(RENEW_S)
            with contextlib.suppress(RedisError):  # there is time for another try; if not, appending is refused
                lease.lost = not await self._renew(keys=[f"gw:lease:{lease.task}"], args=[lease.token, LEASE_MS])

    async def append(
        self, lease: Lease, before: Link, after: Link, lines: Sequence[bytes], admitted: Admitted | None = None
    ) -> None:
        """Append lines in one step, or raise Superseded and change nothing."""
        keys = [f"gw:journal:{lease.task}", f"gw:head:{lease.task}", f"gw:lease:{lease.task}"]
        mark = (str(admitted.attempt), admitted.stream_id) if admitted else ("", "")
        args: list[str | bytes] = [lease.token, str(before.seq), before.hash, str(after.seq), after.hash, *mark, *lines]
        answer = await self._append(keys=keys, args=args)
        if answer != b"ok":
            what = "the lease was lost" if answer == b"lease" else "the journal's head has moved"
            raise Superseded("GW-JOURNAL-" + answer.decode().upper(), f"{what}: nothing was written to {lease.task}")
