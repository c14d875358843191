from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import msgspec
import pytest
from redis.asyncio import Redis

from bot.audit.keys import BoxError, InstanceKey, seal, verify
from bot.forges.protocol import GitAccess
from bot.model.access import Ask, context, message
from bot.model.event import ForgeKind
from bot.model.policy import Policy
from runners.access import Access
from runners.names import Names

NAMES = Names("42-k7f3qd", 3)
KEY = InstanceKey.generate()
POLICY = Policy().sha256()


@pytest.fixture
async def client(redis_url: str) -> AsyncIterator[Redis]:
    client = Redis.from_url(redis_url)
    yield client
    await client.aclose()


async def answered(client: Redis, access: GitAccess | None, bound_to: str = "") -> Ask:
    """Play control: check the request and seal an answer to it."""
    _, knock = await client.brpop(["gw:wake"], timeout=5)
    raw = await client.getdel(f"gw:{knock.decode()}:ask")
    ask = msgspec.json.decode(raw, type=Ask)
    said = message(knock.decode(), ask.public, write=ask.write, policy=ask.policy)
    assert verify(KEY.public, said, bytes.fromhex(ask.signature))
    sealed = seal(bytes.fromhex(ask.public), msgspec.json.encode(access), context(bound_to or knock.decode()))
    await client.set(f"gw:{knock.decode()}", sealed, ex=60)
    return ask


async def test_a_credential_comes_sealed_and_is_picked_up_once(client: Redis) -> None:
    access = Access(client, NAMES, KEY, ForgeKind.GITHUB, POLICY)
    granted = GitAccess("x-access-token", "ghs_secret", 1)
    got, ask = await asyncio.gather(access.get(write=True), answered(client, granted))
    assert got == granted
    assert (ask.write, ask.policy) == (True, POLICY)
    assert await client.keys("gw:access:*") == []


async def test_every_request_has_a_key_and_a_number_of_its_own(client: Redis) -> None:
    access = Access(client, NAMES, KEY, ForgeKind.GITHUB, POLICY)
    _, first = await asyncio.gather(access.get(write=False), answered(client, None))
    _, second = await asyncio.gather(access.get(write=False), answered(client, None))
    assert first.public != second.public
    assert first.signature != second.signature


async def test_an_answer_to_another_request_does_not_open(client: Redis) -> None:
    access = Access(client, NAMES, KEY, ForgeKind.GITHUB, POLICY)
    with pytest.raises(BoxError):
        await asyncio.gather(access.get(write=True), answered(client, None, bound_to="access:42-k7f3qd:2:1"))


async def test_a_local_repository_needs_none(client: Redis) -> None:
    assert await Access(client, NAMES, KEY, ForgeKind.LOCAL, POLICY).get(write=True) is None
    assert await client.llen("gw:wake") == 0
