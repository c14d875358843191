"""From control's enqueue to the start of the job in a forked work-horse: `python -m tests.bench.queue`.

Lone jobs, one at a time, as tasks come: the worker is idle and waits. Ours is `gatewright work` with the usual models
loaded; beside it a bare RQ worker with an empty function. The clock starts before the call that enqueues, and stops at
the time that RQ writes down in the work-horse as the start. The attempts have no orders, so they end at once.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC
from pathlib import Path

from redis import Redis
from rq import Queue, Worker
from rq.job import Job, JobStatus
from rq.serializers import JSONSerializer

from bot.embedded import EmbeddedRedis
from bot.keyring import instance_key
from bot.tasks.queue import Jobs
from tests.bench.figures import Figure, machine, percentiles
from tests.flow.house import toml

JOBS = 30
AIM_MS = 25.0
PAUSE = 0.03  # seconds in which the worker comes to rest
PATIENCE = 30.0
OURS = "gatewright work"
BARE = "bare rq worker, empty function"


def run() -> Sequence[Figure]:
    """Measure and print."""
    with tempfile.TemporaryDirectory(prefix="gw-bench-") as name, EmbeddedRedis(Path(name) / "redis") as store:
        took = asyncio.run(_measure(store.url, Path(name)))
    print(f"queue to start, {JOBS} lone jobs each, alternating; {machine()}")
    print(f"{'':34}{'p50':>8}{'p95':>8}{'min':>8}   ms")
    for label, values in took.items():
        middle, high = percentiles(values)
        print(f"{label:34}{middle:>8.1f}{high:>8.1f}{min(values):>8.1f}")
    (middle, high), (bare, _) = percentiles(took[OURS]), percentiles(took[BARE])
    return (Figure("queue to start", middle, "ms", AIM_MS, note=f"p95 {high:.0f}; bare RQ {bare:.0f}"),)


async def _measure(url: str, folder: Path) -> dict[str, list[float]]:
    with Redis.from_url(url) as redis, _workers(url, folder):
        jobs, plain = Jobs(redis), Queue("bare", connection=redis, serializer=JSONSerializer)

        async def ours(number: int) -> str:
            await jobs.ensure("1-aaaaaa", number, 60.0)
            return f"1-aaaaaa-{number}"

        async def bare(number: int) -> str:
            await asyncio.to_thread(plain.enqueue_call, "time.time", job_id=f"bare-{number}", timeout=60)
            return f"bare-{number}"

        took: dict[str, list[float]] = {OURS: [], BARE: []}
        for number in range(1, JOBS + 3):
            for label, enqueue in ((OURS, ours), (BARE, bare)):
                began = time.time()
                job = await enqueue(number)
                started = await _started(redis, job)
                if number > 2:  # the first two find cold workers
                    took[label].append((started - began) * 1e3)
                await asyncio.sleep(PAUSE)
        return took


async def _started(redis: Redis, job_id: str) -> float:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        job = Job.fetch(job_id, connection=redis, serializer=JSONSerializer)
        if job.get_status() in (JobStatus.FINISHED, JobStatus.FAILED) and job.started_at:
            return job.started_at.replace(tzinfo=UTC).timestamp()
        await asyncio.sleep(0.01)
    raise TimeoutError(f"no worker took {job_id}")


@contextmanager
def _workers(url: str, folder: Path) -> Iterator[None]:
    config = folder / "gatewright.toml"
    instance_key(folder / "data", "gatewright")
    config.write_text(toml({"server": {"data_dir": str(folder / "data")}, "redis": {"url": url}}), encoding="utf-8")
    commands = (
        [sys.executable, "-P", "-m", "bot", "work", "--config", str(config)],
        [sys.executable, "-m", "tests.bench.queue", url],
    )
    quiet = subprocess.DEVNULL
    running = [subprocess.Popen(command, stdin=quiet, stdout=quiet, stderr=quiet) for command in commands]
    try:
        yield
    finally:
        for process in running:
            process.terminate()
        for process in running:
            process.wait(PATIENCE)


def bare_worker(url: str) -> None:
    """Serve the queue `bare` as RQ does by itself."""
    work: Callable[..., bool] = Worker(["bare"], connection=Redis.from_url(url), serializer=JSONSerializer).work
    work(logging_level="WARNING")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        bare_worker(sys.argv[1])
    else:
        run()
