"""The durable queue of verified deliveries between web and control, in Redis.

Web offers, control reads. An entry stays in the stream until control is done with it, so its length is what waits. A
delivery id is claimed for as long as a forge could send it again: `pending` and `done` are duplicates, `failed` may
come again (a redelivery that a person asks for keeps its id).
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, Literal

import msgspec
from msgspec import structs
from redis.asyncio import Redis
from redis.exceptions import NoScriptError, RedisError, ResponseError

from bot.model.errors import Unavailable

INBOX: Final = "gw:inbox"
DEAD: Final = "gw:inbox:dead"
GROUP: Final = "control"
CLAIM_SECONDS: Final = 7 * 24 * 3600  # forges deliver again for 3 days at most
MAX_TRIES: Final = 8  # with the pauses below: a forge may be away for some five minutes
PAUSES_MS: Final = (2_000, 10_000)  # before a letter that could not be handled is tried again; then RECLAIM_MS
DEAD_MAX: Final = 1_000  # letters kept for a person to look at
RECLAIM_MS: Final = 60_000  # a letter nobody finished within this is handed out again
PRESENT_MS: Final = 10_000  # a reader that was not heard of for so long is dead, and its letters are anybody's

SCRIPT: Final = Path(__file__).with_suffix(".lua").read_text(encoding="utf-8")
SCRIPT_ID: Final = hashlib.sha1(SCRIPT.encode(), usedforsecurity=False).hexdigest()  # EVALSHA names scripts so

Answer = Literal["accepted", "duplicate", "full"]
ANSWERS: Final[dict[bytes, Answer]] = {b"accepted": "accepted", b"duplicate": "duplicate", b"full": "full"}


def read_payload(body: bytes) -> dict[str, Any]:
    """Read a body as one JSON object; ValueError for anything else, however deep, long or ill-encoded.

    Web and control both read with this, so what was accepted can be read again.
    """
    try:
        payload = msgspec.json.decode(body)
    except RecursionError:  # 1,000 levels; not a ValueError
        raise ValueError("nested too deeply") from None
    if not isinstance(payload, dict):
        raise ValueError("not an object")  # noqa: TRY004 - bad input, not a bad call
    return payload


class Delivery(msgspec.Struct, frozen=True):
    """One verified delivery; `body` is the JSON payload as bytes, whatever encoding it came in.

    inbox.lua stores these fields in this order.
    """

    forge: str
    host: str
    id: str
    event: str
    action: str
    body: bytes
    received_ms: int

    @property
    def claim(self) -> str:
        """Name the key that tells whether this delivery was seen."""
        return f"gw:delivery:{self.forge}:{self.id}"

    def payload(self) -> dict[str, Any]:
        """Read the body; ValueError cannot happen for what web has stored."""
        return read_payload(self.body)


class Letter(msgspec.Struct, frozen=True):
    """A delivery handed to control, for the `tries`-th time."""

    stream_id: str
    delivery: Delivery
    tries: int


class Inbox:
    """Store deliveries before they are answered, and hand each out until it is done or dead.

    All that is offered while one round trip to Redis is under way shares the next (group commit): with
    `appendfsync always` they also share one fsync. The client must not decode what Redis says.
    """

    def __init__(self, redis: Redis, limit: int, *, reclaim_ms: int = RECLAIM_MS) -> None:
        self._redis = redis
        self._limit = limit
        self._reclaim_ms = reclaim_ms
        self._next_reclaim = 0.0
        self._cursor: Any = b"0-0"
        self._reader = ""
        self._waiting: list[tuple[Delivery, asyncio.Future[Answer]]] = []
        self._writer: asyncio.Task[None] | None = None

    async def offer(self, delivery: Delivery) -> Answer:
        """Store a delivery unless its id was seen; returns when Redis has it, Unavailable when that is unknown."""
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting.append((delivery, answer))
        if self._writer is None:
            self._writer = asyncio.create_task(self._write())
        return await answer

    async def read(self, consumer: str, block_ms: int, count: int) -> list[Letter]:
        """Take up to `count` letters: first those that somebody took and did not finish, then new ones.

        Waits up to `block_ms` milliseconds for new ones (0 does not wait); keep it below the client's socket time-out.
        """
        self._reader = consumer
        await self._ensure_group()
        if time.monotonic() >= self._next_reclaim:
            letters = await self._reclaim(consumer, count)
            if letters:
                return letters
        found: Any = await self._redis.xreadgroup(GROUP, consumer, {INBOX: ">"}, count=count, block=block_ms or None)
        return [_letter(stream_id, fields, tries=1) for stream_id, fields in _entries(found)]

    async def attend(self, consumer: str) -> None:
        """Show that this reader lives, and inherit the letters of those that do not; to be called every few seconds."""
        await self._ensure_group()
        await self._redis.set(f"{INBOX}:reader:{consumer}", "1", px=PRESENT_MS)
        consumers: Any = await self._redis.xinfo_consumers(INBOX, GROUP)
        for entry in consumers:
            name = entry["name"].decode() if isinstance(entry["name"], bytes) else entry["name"]
            if not await self._redis.exists(f"{INBOX}:reader:{name}"):
                await self._inherit(consumer, name)

    async def _inherit(self, consumer: str, dead: str) -> None:
        pending: Any = await self._redis.xpending_range(INBOX, GROUP, "-", "+", self._limit, consumername=dead)
        if pending:
            ids = [entry["message_id"] for entry in pending]
            self._reader = consumer
            await self._age(ids, self._reclaim_ms)
            self._next_reclaim = 0.0
        await self._redis.xgroup_delconsumer(INBOX, GROUP, dead)

    async def done(self, letter: Letter) -> None:
        """Forget a letter and keep its claim: the same delivery is a duplicate from now on."""
        await self._settle(letter, "done")

    async def failed(self, letter: Letter, reason: str) -> None:
        """Leave a letter to be tried again soon, or after the last try put it aside with its body and the reason."""
        if letter.tries >= MAX_TRIES:
            await self._settle(letter, "failed", reason)
        elif letter.tries <= len(PAUSES_MS):
            pause = min(PAUSES_MS[letter.tries - 1], self._reclaim_ms)
            await self._age([letter.stream_id], self._reclaim_ms - pause)
            self._next_reclaim = min(self._next_reclaim, time.monotonic() + pause / 1_000)

    async def _age(self, stream_ids: list[Any], idle_ms: int) -> None:
        """Have letters count as untouched for this long; they are handed out again when that is RECLAIM_MS."""
        await self._redis.xclaim(INBOX, GROUP, self._reader, 0, stream_ids, idle=idle_ms, justid=True)

    async def _write(self) -> None:
        try:
            while self._waiting:
                batch, self._waiting = self._waiting, []
                await self._commit(batch)
        finally:
            self._writer = None

    async def _commit(self, batch: Sequence[tuple[Delivery, asyncio.Future[Answer]]]) -> None:
        try:
            answers = await self._claim([delivery for delivery, _ in batch])
        except (RedisError, OSError, KeyError) as error:  # KeyError: it said something else
            for _, answer in batch:
                if not answer.done():
                    answer.set_exception(_away(error))
            return
        for (_, answer), reply in zip(batch, answers, strict=True):
            if not answer.done():  # else the forge hung up meanwhile
                answer.set_result(reply)

    async def _claim(self, deliveries: Sequence[Delivery]) -> list[Answer]:
        """Run the script for a batch; the answers in its order."""
        words: list[Any] = [INBOX, *(delivery.claim for delivery in deliveries), self._limit, CLAIM_SECONDS]
        for delivery in deliveries:
            words += structs.astuple(delivery)
        keys = 1 + len(deliveries)
        replies: Any
        try:
            replies = await self._redis.evalsha(SCRIPT_ID, keys, *words)
        except NoScriptError:  # Redis was restarted: it forgets scripts
            replies = await self._redis.eval(SCRIPT, keys, *words)
        return [ANSWERS[reply] for reply in replies]

    async def _ensure_group(self) -> None:
        try:
            await self._redis.xgroup_create(INBOX, GROUP, id="0", mkstream=True)
        except ResponseError as error:
            if "BUSYGROUP" not in str(error):
                raise

    async def _reclaim(self, consumer: str, count: int) -> list[Letter]:
        claimed: Any = await self._redis.xautoclaim(INBOX, GROUP, consumer, self._reclaim_ms, self._cursor, count=count)
        self._cursor, entries = claimed[:2]
        if self._cursor == b"0-0":  # all were looked at
            self._next_reclaim = time.monotonic() + self._reclaim_ms / 2_000
        letters = []
        for stream_id, fields in entries:
            letter = _letter(stream_id, fields, await self._tries(stream_id))
            if letter.tries > MAX_TRIES:  # whoever took it never came back, five times
                await self._settle(letter, "failed", "nobody who took it came back")
            else:
                letters.append(letter)
        return letters

    async def _tries(self, stream_id: bytes) -> int:
        pending = await self._redis.xpending_range(INBOX, GROUP, stream_id, stream_id, 1)
        return int(pending[0]["times_delivered"]) if pending else 1  # else somebody has just finished it

    async def _settle(self, letter: Letter, claim: Literal["done", "failed"], reason: str = "") -> None:
        transaction = self._redis.pipeline(transaction=True)
        transaction.set(letter.delivery.claim, claim, ex=CLAIM_SECONDS)
        if claim == "failed":
            entry: dict[Any, Any] = {**structs.asdict(letter.delivery), "reason": reason, "tries": letter.tries}
            transaction.xadd(DEAD, entry, maxlen=DEAD_MAX, approximate=True)
        transaction.xack(INBOX, GROUP, letter.stream_id)
        transaction.xdel(INBOX, letter.stream_id)
        await transaction.execute()


def _entries(found: Any) -> list[tuple[bytes, dict[bytes, bytes]]]:
    """Take the entries of our one stream out of what RESP2 (pairs) or RESP3 (a map of lists) makes of XREADGROUP."""
    if isinstance(found, dict):
        return [entry for entries in found.get(INBOX.encode(), []) for entry in entries]
    return [entry for _, entries in found for entry in entries]


def _letter(stream_id: bytes, fields: dict[bytes, bytes], tries: int) -> Letter:
    delivery = Delivery(
        forge=fields[b"forge"].decode(),
        host=fields[b"host"].decode(),
        id=fields[b"id"].decode(),
        event=fields[b"event"].decode(),
        action=fields[b"action"].decode(),
        body=fields[b"body"],
        received_ms=int(fields[b"received_ms"]),
    )
    return Letter(stream_id.decode(), delivery, tries)


def _away(error: object) -> Unavailable:
    # By its type: the client's own message may quote the command, and with it the body.
    return Unavailable(
        "GW-REDIS-AWAY",
        "Redis did not store the delivery.",
        why=type(error).__name__,
        fix="see that Redis runs, is reachable and has memory; the forge can deliver again",
    )
