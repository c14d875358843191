"""What an attempt reports, entry by entry, into its own stream; control alone chains it into the journal."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, Protocol

import msgspec
import structlog
from redis.asyncio import Redis
from redis.exceptions import RedisError

from bot.audit.kinds import KINDS, WORKER_KINDS
from bot.audit.redact import redact, redacted_data
from bot.model.errors import Superseded, Unavailable
from bot.model.task import Usage
from runners.names import WAKE, Names

LINGER: Final = 0.02  # seconds for which entries gather before they are sent together
PATIENCE: Final = 60.0  # seconds Redis may be away before the attempt gives up
BATCH: Final = 200
MILESTONES: Final = frozenset(
    {"spec.set", "plan.set", "progress", "qa.verdict", "pushed", "work.held", "attempt.ended"}
)

# One call checks the fence and appends: between a check and a write of their own, another attempt could take over.
# Ids are given by us (`n-0`), so a batch that is sent again after a broken connection is not appended twice.
SEND: Final = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] or redis.call('GET', KEYS[2]) ~= ARGV[2] then return -1 end
local last, sent = redis.call('XREVRANGE', KEYS[3], '+', '-', 'COUNT', 1), 0
local done = last[1] and tonumber(string.match(last[1][1], '^%d+')) or 0
for i = 6, #ARGV do
  local n = tonumber(ARGV[5]) + i - 6
  if n > done then redis.call('XADD', KEYS[3], n .. '-0', 'r', ARGV[i]); sent = sent + 1 end
end
if ARGV[4] == '1' then redis.call('LPUSH', KEYS[4], ARGV[3]) end
return sent
"""


class Store(Protocol):
    """Where contents go; bot.audit.blobs.Blobs."""

    def put(self, content: bytes) -> str:
        """Keep a content and return its commitment."""


class Entry(msgspec.Struct, frozen=True):
    """One report as it travels: field `r` of a stream entry holds it as JSON."""

    kind: str
    outcome: str
    data: dict[str, Any]
    refs: tuple[dict[str, Any], ...]
    ts: int
    basis: str


class Report(msgspec.Struct):
    """One report on its way: its blobs are redacted and stored by a thread, then it is spelled, then it is sent."""

    entry: Entry
    blobs: Mapping[str, bytes]
    wakes: bool
    job: asyncio.Future[tuple[bytes, int]] | None = None
    spelled: bytes | None = None


class Recorder:
    """Report to the stream of one attempt, for as long as that attempt is the current one.

    Whoever reports waits for nothing. What is sent stays in the order of the reports, and no report is sent before its
    blobs are on disk.
    """

    def __init__(self, redis: Redis, names: Names, store: Store, claim: str, *, secrets: Collection[str] = ()) -> None:
        self._redis = redis
        self._names = names
        self._store = store
        self._claim = claim
        self._secrets = secrets
        self._waiting: list[Report] = []
        self._keeper = ThreadPoolExecutor(1, "blobs")  # one, so that they are stored in order
        self._next = 1
        self._sending = asyncio.Lock()
        self._sender: asyncio.Task[None] | None = None
        self._open: dict[tuple[str, int], None] = {}
        self._usage = Usage()
        self._redacted = 0
        self._since = time.monotonic()
        self._is_closed = False
        self.on_lost: Callable[[Exception], None] = _ignore

    @property
    def usage(self) -> Usage:
        """Sum what the model calls that ended have used."""
        return self._usage

    def record(
        self,
        kind: str,
        data: Mapping[str, Any],
        *,
        outcome: str = "ok",
        blobs: Mapping[str, bytes] | None = None,
        stored: Mapping[str, tuple[str, int]] | None = None,
    ) -> None:
        """Report one record; ValueError or msgspec.ValidationError where kind or data are none a worker may report.

        `stored` names blobs that are in the store already, by commitment and size: their bytes stay as they are.
        """
        if self._is_closed:
            raise ValueError(f"{kind} after attempt.ended")
        if kind not in WORKER_KINDS:
            raise ValueError(f"a worker may not report {kind}")
        typed = msgspec.convert(
            {**redacted_data(dict(data), self._secrets), "attempt": self._names.attempt}, KINDS[kind]
        )
        self._track(kind, typed)
        entry = Entry(
            kind=kind,
            outcome=outcome,
            data=msgspec.to_builtins(typed),
            refs=tuple(_refs(stored or {})),
            ts=time.time_ns() // 1_000_000,
            basis="claimed" if kind in ("spec.set", "plan.set") else "observed",
        )
        report = Report(entry, dict(blobs or {}), kind in MILESTONES)
        if blobs:
            report.job = self._kept_soon(report)
        else:
            report.spelled = msgspec.json.encode(entry)
        self._waiting.append(report)
        if self._sender is None or self._sender.done():
            self._sender = asyncio.get_running_loop().create_task(self._send_soon())

    async def flush(self) -> None:
        """Send all that waits; Superseded when another attempt has taken over, Unavailable when Redis or disk fail."""
        async with self._sending:
            while self._waiting:
                batch = self._waiting[:BATCH]
                await self._send([(await self._spelled(report), report.wakes) for report in batch])
                del self._waiting[: len(batch)]
                self._next += len(batch)

    async def check(self) -> None:
        """Raise Superseded unless this attempt is still the one that may act; to be awaited before it acts outside."""
        await self.flush()
        await self._send([])

    def cancel_open_calls(self) -> None:
        """Give every call that never came back its result."""
        for family, call in list(self._open):
            stop = {"stop": "cancelled"} if family == "model" else {}
            self.record(f"{family}.result", {"call": call, **stop}, outcome="cancelled")

    async def end(self, data: Mapping[str, Any], *, outcome: str, explanation: str = "") -> None:
        """Report the end, always last, with what was used; then nothing more is taken."""
        self.cancel_open_calls()
        for report in list(self._waiting):
            await self._spelled(report)  # so that all that was cut out is counted
        used = self._usage
        sums = {
            "calls": used.calls,
            "tokens_in": used.tokens_in,
            "tokens_out": used.tokens_out,
            "micro_usd": used.micro_usd,
            "dur_ms": round((time.monotonic() - self._since) * 1000),
            "redacted": self._redacted + redact(explanation.encode(), self._secrets)[1],
        }
        blobs = {"explanation": explanation.encode()} if explanation else None
        self.record("attempt.ended", {**sums, **data}, outcome=outcome, blobs=blobs)
        self._is_closed = True
        await self.flush()
        await self._redis.expire(self._names.stream, 14 * 24 * 3600)

    async def close(self) -> None:
        """Stop sending."""
        self._is_closed = True
        if self._sender is not None:
            self._sender.cancel()
            await asyncio.gather(self._sender, return_exceptions=True)
        self._keeper.shutdown(wait=False, cancel_futures=True)

    def _kept_soon(self, report: Report) -> asyncio.Future[tuple[bytes, int]]:
        job = asyncio.get_running_loop().run_in_executor(self._keeper, self._keep, report)
        job.add_done_callback(_heed)
        return job

    def _keep(self, report: Report) -> tuple[bytes, int]:
        """Store a report's blobs durably and spell it, in the thread; count what was cut out."""
        refs, total = list(report.entry.refs), 0
        for name, content in report.blobs.items():
            clean, count = redact(content, self._secrets)
            refs.append({"commit": self._store.put(clean), "name": name, "size": len(clean)})
            total += count
        refs.sort(key=lambda ref: str(ref["name"]))
        return msgspec.json.encode(msgspec.structs.replace(report.entry, refs=tuple(refs))), total

    async def _spelled(self, report: Report) -> bytes:
        """Wait until a report can be sent; Unavailable where its blobs cannot be stored, to be tried again."""
        if report.spelled is None:
            report.job = report.job or self._kept_soon(report)
            try:
                spelled, count = await asyncio.shield(report.job)
            except OSError as error:
                report.job = None
                raise Unavailable(
                    "GW-BLOB-STORE", "what the attempt reports cannot be stored", why=str(error),
                    fix="look for room and rights where server.data_dir lies, then `retry`",
                ) from error  # fmt: skip
            if report.spelled is None:  # two may wait for the same one
                report.spelled, report.blobs = spelled, {}
                self._redacted += count
        return report.spelled

    def _track(self, kind: str, data: Any) -> None:
        family, _, part = kind.partition(".")
        if part == "call":
            self._open[family, data.call] = None
        elif part == "result":
            self._open.pop((family, data.call), None)
        if kind == "model.result":
            self._usage += Usage(1, data.tokens_in, data.tokens_out, data.micro_usd)

    async def _send_soon(self) -> None:
        await asyncio.sleep(LINGER)
        try:
            await self.flush()
        except (Superseded, Unavailable) as error:
            self.on_lost(error)

    async def _send(self, batch: list[tuple[bytes, bool]]) -> None:
        names = self._names
        wakes = "1" if any(wakes for _, wakes in batch) else "0"
        arguments: list[str | bytes] = [str(names.attempt), self._claim, names.task, wakes, str(self._next)]
        arguments += [entry for entry, _ in batch]
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                sent = await self._redis.eval(SEND, 4, names.current, names.claim, names.stream, WAKE, *arguments)
                break
            except (RedisError, OSError) as error:
                if time.monotonic() > deadline:
                    raise Unavailable(
                        "GW-REDIS-AWAY", "Redis does not take the attempt's reports", why=str(error)
                    ) from error
                structlog.get_logger().warning("redis away", task=names.task, attempt=names.attempt, error=str(error))
                await asyncio.sleep(1)
        if sent == -1:
            raise Superseded(
                "GW-ATTEMPT-SUPERSEDED", f"attempt {names.attempt} of {names.task} is no longer the current one"
            )


def _refs(stored: Mapping[str, tuple[str, int]]) -> Iterator[dict[str, Any]]:
    yield from ({"commit": commit, "name": name, "size": size} for name, (commit, size) in stored.items())


def _heed(job: asyncio.Future[Any]) -> None:
    """Look at how a job ended: whoever sends its report raises that, and where nobody does, nobody needs it."""
    if not job.cancelled():
        job.exception()


def _ignore(_: Exception) -> None:
    return
