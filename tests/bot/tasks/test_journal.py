from __future__ import annotations

import asyncio

import pytest
from redis.asyncio import Redis

from bot.audit.chain import Link
from bot.model.errors import Superseded
from bot.tasks import journal
from bot.tasks.journal import Admitted, Journals

TASK = "42-k7f3qd"
START = Link(-1, "0" * 64)
FIRST = Link(0, "1" * 64)
SECOND = Link(1, "2" * 64)


async def test_a_journal_that_nobody_began_has_no_head(redis: Redis):
    assert await Journals(redis).head(TASK) is None
    assert await Journals(redis).lines(TASK) == []


async def test_records_are_appended_in_order_and_the_head_follows(redis: Redis):
    journals = Journals(redis)
    async with journals.lease(TASK) as lease:
        await journals.append(lease, START, FIRST, [b"one"])
        await journals.append(lease, FIRST, Link(2, "3" * 64), [b"two", b"three"])
    assert await journals.lines(TASK) == [b"one", b"two", b"three"]
    assert await journals.lines(TASK, 1) == [b"two", b"three"]
    assert await journals.head(TASK) == Link(2, "3" * 64)


async def test_a_lease_is_held_by_one_and_free_afterwards(redis: Redis):
    journals = Journals(redis)
    async with journals.lease(TASK):
        with pytest.raises(Superseded) as busy:
            async with journals.lease(TASK, wait_s=0.05):
                pass
        assert busy.value.code == "GW-LEASE-BUSY"
        async with journals.lease("43-k7f3qd", wait_s=0.05):
            pass  # another task is not kept waiting
    async with journals.lease(TASK, wait_s=0.05):
        pass


async def test_whoever_waits_for_a_lease_gets_it_when_it_is_free(redis: Redis):
    journals, order = Journals(redis), []

    async def hold(name: str) -> None:
        async with journals.lease(TASK):
            order.append(f"{name} in")
            await asyncio.sleep(0.01)
            order.append(f"{name} out")

    await asyncio.gather(*(hold(str(n)) for n in range(4)))
    assert all(a.split()[0] == b.split()[0] for a, b in zip(order[::2], order[1::2], strict=True)), order


async def test_a_lease_is_renewed_for_as_long_as_it_is_held(redis: Redis, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(journal, "LEASE_MS", 150)
    monkeypatch.setattr(journal, "RENEW_S", 0.03)
    journals = Journals(redis)
    async with journals.lease(TASK) as lease:
        await asyncio.sleep(0.4)
        assert not lease.lost
        await journals.append(lease, START, FIRST, [b"one"])


async def test_whoever_lost_the_lease_writes_nothing_and_takes_nothing_away(redis: Redis):
    journals = Journals(redis)
    async with journals.lease(TASK) as stalled:
        await redis.delete(f"gw:lease:{TASK}")  # it ran out while this process stood still
        async with journals.lease(TASK) as other:
            with pytest.raises(Superseded) as lost:
                await journals.append(stalled, START, FIRST, [b"late"])
            assert lost.value.code == "GW-JOURNAL-LEASE"
            await journals.append(other, START, FIRST, [b"one"])
            await journals._release(keys=[f"gw:lease:{TASK}"], args=[stalled.token])
            await journals.append(other, FIRST, SECOND, [b"two"])
    assert await journals.lines(TASK) == [b"one", b"two"]


@pytest.mark.parametrize("before", [START, Link(0, "9" * 64), SECOND])
async def test_nothing_is_appended_to_another_head_than_the_writer_saw(redis: Redis, before: Link):
    journals = Journals(redis)
    async with journals.lease(TASK) as lease:
        await journals.append(lease, START, FIRST, [b"one"])
        with pytest.raises(Superseded) as moved:
            await journals.append(lease, before, SECOND, [b"two"], Admitted(1, "5-0"))
    assert moved.value.code == "GW-JOURNAL-HEAD"
    assert await journals.lines(TASK) == [b"one"]
    assert await journals.admitted(TASK, 1) == "0"


async def test_a_first_record_needs_the_genesis_as_its_head_in_every_journal(redis: Redis):
    journals = Journals(redis)
    async with journals.lease(TASK) as lease:
        with pytest.raises(Superseded):
            await journals.append(lease, FIRST, SECOND, [b"two"])
    assert await journals.head(TASK) is None


async def test_what_was_taken_from_a_stream_is_marked_in_the_same_step(redis: Redis):
    journals = Journals(redis)
    async with journals.lease(TASK) as lease:
        await journals.append(lease, START, FIRST, [b"one"], Admitted(3, "17-0"))
        await journals.append(lease, FIRST, SECOND, [b"two"])
    assert await journals.admitted(TASK, 3) == "17-0"
    assert await journals.admitted(TASK, 4) == "0"
