"""The inbox against a real Redis."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from bot.embedded import EmbeddedRedis
from bot.inbox import DEAD, GROUP, INBOX, MAX_TRIES, RECLAIM_MS, Delivery, Inbox, Letter, read_payload
from bot.model.errors import Unavailable


def delivery(number: int | str = 1, body: bytes = b'{"action":"labeled"}') -> Delivery:
    return Delivery("github", "github.com", f"delivery-{number}", "issues", "labeled", body, 1_760_000_000_000)


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    client = Redis.from_url(redis_url)
    yield client
    await client.aclose()


@pytest.fixture
def inbox(redis: Redis) -> Inbox:
    return Inbox(redis, 100, reclaim_ms=30)


async def only(inbox: Inbox, consumer: str = "a") -> Letter:
    [letter] = await inbox.read(consumer, 0, 10)
    return letter


async def test_what_is_offered_is_read_unchanged(inbox: Inbox) -> None:
    body = b'{"text":"\\u0000 \xc3\xa9"}'
    assert await inbox.offer(delivery(body=body)) == "accepted"
    letter = await only(inbox)
    assert (letter.delivery, letter.tries) == (delivery(body=body), 1)
    assert letter.delivery.payload() == {"text": "\0 é"}


async def test_letters_come_in_the_order_of_their_arrival(inbox: Inbox) -> None:
    await asyncio.gather(*(inbox.offer(delivery(number)) for number in range(20)))
    letters = await inbox.read("a", 0, 20)
    assert [letter.delivery.id for letter in letters] == [f"delivery-{number}" for number in range(20)]


async def test_same_id_is_a_duplicate_while_pending_and_when_done(inbox: Inbox) -> None:
    assert await asyncio.gather(inbox.offer(delivery()), inbox.offer(delivery())) == ["accepted", "duplicate"]
    letter = await only(inbox)
    assert await inbox.offer(delivery()) == "duplicate"
    await inbox.done(letter)
    assert await inbox.offer(delivery()) == "duplicate"
    assert await inbox.read("a", 0, 10) == []


async def test_same_id_of_another_forge_is_another_delivery(inbox: Inbox) -> None:
    gitlab = Delivery("gitlab", "gitlab.com", "delivery-1", "Issue Hook", "update", b"{}", 1)
    assert await asyncio.gather(inbox.offer(delivery()), inbox.offer(gitlab)) == ["accepted", "accepted"]


async def test_full_inbox_takes_nothing_until_a_letter_is_done(redis: Redis) -> None:
    inbox = Inbox(redis, 2)
    offers = [await inbox.offer(delivery(number)) for number in range(3)]
    assert offers == ["accepted", "accepted", "full"]
    await inbox.done((await inbox.read("a", 0, 1))[0])
    assert await inbox.offer(delivery(2)) == "accepted", "the one that was refused left no claim behind"


async def test_done_keeps_the_claim_for_a_week_and_nothing_else(inbox: Inbox, redis: Redis) -> None:
    await inbox.offer(delivery())
    await inbox.done(await only(inbox))
    assert await redis.xlen(INBOX) == 0
    assert (await redis.xpending(INBOX, GROUP))["pending"] == 0
    assert await redis.get(delivery().claim) == b"done"
    assert 7 * 24 * 3600 - 60 < await redis.ttl(delivery().claim) <= 7 * 24 * 3600


async def test_each_letter_goes_to_one_of_several_readers(inbox: Inbox, redis: Redis) -> None:
    await asyncio.gather(*(inbox.offer(delivery(number)) for number in range(10)))
    other = Inbox(redis, 100)
    first, second = await asyncio.gather(inbox.read("a", 0, 5), other.read("b", 0, 5))
    ids = [letter.delivery.id for letter in first + second]
    assert len(ids) == len(set(ids)) == 10


async def test_reader_that_waits_is_woken_by_an_offer(inbox: Inbox) -> None:
    reading = asyncio.create_task(inbox.read("a", 5_000, 10))
    await asyncio.sleep(0.05)
    began = asyncio.get_running_loop().time()
    await inbox.offer(delivery())
    assert len(await reading) == 1
    assert asyncio.get_running_loop().time() - began < 2


async def test_letter_of_a_reader_that_died_is_handed_to_another(inbox: Inbox, redis: Redis) -> None:
    await inbox.offer(delivery())
    await only(inbox, "dies")
    other = Inbox(redis, 100, reclaim_ms=30)
    assert await other.read("b", 0, 10) == [], "not before it is idle"
    await asyncio.sleep(0.06)
    letter = await only(other, "b")
    assert (letter.delivery, letter.tries) == (delivery(), 2)


async def test_the_living_inherit_what_a_dead_reader_took_and_leave_the_others_theirs(redis: Redis) -> None:
    dead, living, heir = (Inbox(redis, 100) for _ in range(3))  # with the patience of production
    for number, (inbox, name) in enumerate(((dead, "dead"), (living, "living"))):
        await inbox.attend(name)
        await inbox.offer(delivery(number))
        await only(inbox, name)
    await heir.attend("heir")
    assert await heir.read("heir", 0, 10) == [], "both were heard of a moment ago"
    await redis.delete(f"{INBOX}:reader:dead")
    await heir.attend("heir")
    letter = await only(heir, "heir")
    assert (letter.delivery.id, letter.tries) == ("delivery-0", 2)
    assert {entry["name"] for entry in await redis.xinfo_consumers(INBOX, GROUP)} == {b"living", b"heir"}


async def test_a_letter_that_could_not_be_handled_comes_again_within_seconds(redis: Redis) -> None:
    inbox = Inbox(redis, 100)
    await inbox.offer(delivery())
    await inbox.failed(await only(inbox), "the forge was away")
    assert await inbox.read("a", 0, 10) == []
    [entry] = await redis.xpending_range(INBOX, GROUP, "-", "+", 10)
    assert RECLAIM_MS - 2_100 <= entry["time_since_delivered"] <= RECLAIM_MS
    letter = None
    deadline = asyncio.get_running_loop().time() + 10
    while not letter and asyncio.get_running_loop().time() < deadline:
        letter = next(iter(await inbox.read("a", 100, 10)), None)
    assert letter is not None
    assert letter.tries == 2


async def test_failed_letter_is_tried_again_and_put_aside_after_the_last_try(inbox: Inbox, redis: Redis) -> None:
    await inbox.offer(delivery())
    for tries in range(1, MAX_TRIES + 1):
        letter = await only(inbox)
        assert letter.tries == tries
        assert await redis.xlen(DEAD) == 0
        await inbox.failed(letter, "the forge said no")
        await asyncio.sleep(0.05)
    [(_, dead)] = await redis.xrange(DEAD)
    assert (dead[b"body"], dead[b"reason"], dead[b"tries"]) == (
        delivery().body,
        b"the forge said no",
        b"%d" % MAX_TRIES,
    )
    assert await inbox.read("a", 0, 10) == []
    assert await redis.xlen(INBOX) == 0
    assert await inbox.offer(delivery()) == "accepted", "a redelivery that a person asks for is taken again"


async def test_letter_that_nobody_survives_is_put_aside_without_being_failed(inbox: Inbox, redis: Redis) -> None:
    await inbox.offer(delivery())
    for _ in range(MAX_TRIES):
        await only(inbox)
        await asyncio.sleep(0.05)
    assert await inbox.read("a", 0, 10) == []
    assert await redis.xlen(DEAD) == 1
    assert await redis.get(delivery().claim) == b"failed"


async def test_waiting_offers_share_round_trips(inbox: Inbox, redis: Redis) -> None:
    """The first goes alone; all that came while it was under way go together."""
    await inbox.offer(delivery("warm"))
    before = (await redis.info("stats"))["total_reads_processed"]
    await asyncio.gather(*(inbox.offer(delivery(number)) for number in range(50)))
    assert (await redis.info("stats"))["total_reads_processed"] - before < 10


async def test_script_that_redis_forgot_is_brought_again(inbox: Inbox, redis: Redis) -> None:
    await inbox.offer(delivery(1))
    await redis.script_flush()
    assert await asyncio.gather(*(inbox.offer(delivery(number)) for number in (1, 2))) == ["duplicate", "accepted"]


async def test_offer_without_redis_raises_and_says_nothing_of_the_body(tmp_path: Path) -> None:
    client = Redis.from_url(f"unix://{tmp_path}/nothing", retry=Retry(NoBackoff(), 0))
    with pytest.raises(Unavailable) as away:
        await Inbox(client, 1).offer(delivery(body=b'{"password":"hush"}'))
    assert away.value.code == "GW-REDIS-AWAY"
    assert "hush" not in str(away.value)
    await client.aclose()


async def test_redis_without_memory_refuses_and_says_nothing_of_the_body(redis: Redis) -> None:
    inbox = Inbox(redis, 100)
    await redis.config_set("maxmemory", 1)
    try:
        with pytest.raises(Unavailable) as away:
            await inbox.offer(delivery(body=b'{"password":"hush"}'))
    finally:
        await redis.config_set("maxmemory", 0)
    assert "hush" not in str(away.value)
    assert await inbox.offer(delivery()) == "accepted"


async def test_client_that_decodes_is_refused_and_nobody_waits_for_ever(redis_url: str) -> None:
    client = Redis.from_url(redis_url, decode_responses=True)
    with pytest.raises(Unavailable):
        await asyncio.wait_for(Inbox(client, 100).offer(delivery()), 5)
    await client.aclose()


async def test_offer_that_is_given_up_does_not_hold_up_the_others(inbox: Inbox) -> None:
    given_up = asyncio.create_task(inbox.offer(delivery(1)))
    await asyncio.sleep(0)
    given_up.cancel()
    assert await inbox.offer(delivery(2)) == "accepted"


async def test_accepted_means_on_disk(tmp_path: Path) -> None:
    """Redis is killed right after the answer."""
    server = EmbeddedRedis(tmp_path)
    client = Redis.from_url(server.start())
    assert await Inbox(client, 100).offer(delivery()) == "accepted"
    os.kill(server.pid or 0, signal.SIGKILL)
    await client.aclose()
    server.stop()
    with EmbeddedRedis(tmp_path) as again:
        client = Redis.from_url(again.url)
        inbox = Inbox(client, 100)
        assert (await only(inbox)).delivery == delivery()
        assert await inbox.offer(delivery()) == "duplicate"
        await client.aclose()


@pytest.mark.parametrize("protocol", [2, 3])
async def test_both_wire_protocols_of_redis_are_read(redis_url: str, protocol: int) -> None:
    client = Redis.from_url(redis_url, protocol=protocol)
    inbox = Inbox(client, 100, reclaim_ms=20)
    await inbox.offer(delivery())
    assert (await only(inbox)).tries == 1
    await asyncio.sleep(0.03)
    assert (await only(inbox)).tries == 2
    await client.aclose()


@given(st.binary())
def test_any_bytes_are_an_object_or_a_value_error(body: bytes) -> None:
    try:
        assert isinstance(read_payload(body), dict)
    except ValueError:
        return


@pytest.mark.parametrize(
    "body",
    [
        *(
            b"",
            b"null",
            b"[]",
            b'"x"',
            b"1",
            b"{}x",
            b"\xef\xbb\xbf{}",
            b'{"a":NaN}',
            b'{"a":"\\ud800"}',
            b'{"a":"\xff"}',
        ),
        *(b"[" * 100_000 + b"]" * 100_000, b'{"a":' * 100_000, b'{"a":' + b"9" * 10_000 + b"}"),
    ],
)
def test_what_is_not_one_plain_object_is_a_value_error(body: bytes) -> None:
    with pytest.raises(ValueError):
        read_payload(body)
