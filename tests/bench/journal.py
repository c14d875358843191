"""What journals cost: written in Redis, folded to a state, verified in a checkout: `python -m tests.bench.journal`.

The journal is that of a busy attempt: calls to a model and to tools, each with its result. Verifying is held against
what no verifier can do without: SHA-256 over each line, and one typed decode of it.
"""

from __future__ import annotations

import asyncio
import hashlib
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
from redis.asyncio import Redis

from bot.audit import kinds
from bot.audit.chain import RECORD_DOMAIN, Draft, Link, extend, genesis, walk
from bot.audit.layout import evidence_files
from bot.audit.record import Record, Ref, decode
from bot.audit.verify import verify
from bot.embedded import EmbeddedRedis
from bot.model.event import ForgeKind, Repo
from bot.tasks.book import Shelf
from bot.tasks.fold import fold
from bot.tasks.index import Index
from bot.tasks.journal import Journals
from tests.bench.figures import Figure, machine
from tests.bot.tasks.history import AGENT, OPENED, SERVICE, SHA

CALLS = 1_200  # four records each
BATCH = 200  # as control takes in what a worker reports
SINGLES = 200
ROUNDS = 5
TASK = "42-k7f3qd"
GENESIS = genesis("test", OPENED.repo, TASK)
REPO = Repo(ForgeKind.GITHUB, OPENED.host, OPENED.repo_id, OPENED.path)


def drafts() -> list[Draft]:
    """Tell a long attempt."""
    story = [
        Draft("task.opened", OPENED, SERVICE),
        Draft("issue.snapshot", kinds.IssueSnapshot("d", 7, 1, 42), SERVICE, refs=(Ref(SHA, "body", 1),)),
        Draft("attempt.started", kinds.AttemptStarted(1, "spec", "sonnet"), SERVICE),
    ]
    for call in range(1, CALLS + 1):
        prompt, output = Ref(hashlib.sha256(b"p%d" % call).hexdigest(), "prompt", 9_000), Ref(SHA, "output", 800)
        asked = kinds.ModelCall(1, 2 * call, "claude", "claude-sonnet-4-6", SHA, SHA)
        answered = kinds.ModelResult(1, 2 * call, "tool_use", 12_000, 310, 40_000, 3_100, 200)
        story += [
            Draft("model.call", asked, AGENT, refs=(prompt,)),
            Draft("model.result", answered, AGENT, refs=(output,)),
            Draft("tool.call", kinds.ToolCall(1, 2 * call + 1, "read"), AGENT, refs=(Ref(SHA, "arguments", 40),)),
            Draft("tool.result", kinds.ToolResult(1, 2 * call + 1, 0, 3), AGENT, refs=(output,)),
        ]
    return [*story, Draft("attempt.ended", kinds.AttemptEnded(1, "spec", "GW-PHASE-TIMEOUT"), AGENT, outcome="timeout")]


async def append(url: str, story: Sequence[Draft]) -> tuple[float, float]:
    """Write the story in batches and then single records; records a second of both, each on disk before the next."""
    async with Redis.from_url(url) as redis:
        lines, tail = extend(Link(-1, GENESIS), story[:1], task=TASK, now_ms=1)
        await Index(redis).begin(REPO, OPENED.issue, TASK, tail, lines)
        async with Shelf(Journals(redis)).open(TASK) as book:
            began = time.perf_counter()
            for start in range(1, len(story), BATCH):
                await book.write(*story[start : start + BATCH])
            batched = len(story) / (time.perf_counter() - began)
            began = time.perf_counter()
            for number in range(SINGLES):
                await book.write(Draft("progress", kinds.Progress(1, number, SINGLES), AGENT))
            singles = SINGLES / (time.perf_counter() - began)
        await redis.flushall()
    return batched, singles


def floor(lines: Sequence[bytes]) -> None:
    """Do the least that a verifier must."""
    read = msgspec.json.Decoder(Record).decode
    for line in lines:
        hashlib.sha256(RECORD_DOMAIN + line).digest()
        read(line)


def rate(work: Callable[[], object], count: int) -> float:
    """Measure records a second, the median of some rounds."""
    rates = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        work()
        rates.append(count / (time.perf_counter() - began))
    return statistics.median(rates)


def run() -> Sequence[Figure]:
    """Measure and print."""
    story = drafts()
    lines, _ = extend(Link(-1, GENESIS), story, task=TASK, now_ms=1_795_300_000_000)
    records = [decode(line) for line in lines]
    with tempfile.TemporaryDirectory(prefix="gw-bench-") as name:
        work = Path(name)
        with EmbeddedRedis(work / "redis") as store:
            batched, singles = asyncio.run(append(store.url, story))
        for path, content in evidence_files(TASK, lines, {}).items():
            (work / "repo" / path).parent.mkdir(parents=True, exist_ok=True)
            (work / "repo" / path).write_bytes(content)
        verified = rate(lambda: verify(work / "repo"), len(lines))
    rows = {
        f"append, {BATCH} at once, fsynced": batched,
        "append, one by one, fsynced": singles,
        "fold alone": rate(lambda: fold(records), len(records)),
        "walk and fold (a cold read)": rate(lambda: fold(r for r, _ in walk(lines, GENESIS)), len(lines)),
        "audit verify of a checkout": verified,
        "limit: sha256 and msgspec": (limit := rate(lambda: floor(lines), len(lines))),
    }
    size = sum(map(len, lines)) // len(lines)
    print(f"journal of {len(lines):,} records, {size} bytes each, medians of {ROUNDS} rounds; {machine()}")
    for label, value in rows.items():
        print(f"{label:34}{value:>12,.0f} records/s")
    return (
        Figure("journal append, batched", batched, "records/s", more=True),
        Figure("journal fold, from lines", rows["walk and fold (a cold read)"], "records/s", more=True),
        Figure("audit verify", verified, "records/s", more=True, note=f"{verified / limit:.0%} of sha256 + msgspec"),
    )


if __name__ == "__main__":
    run()
