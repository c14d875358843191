"""What one signed delivery costs, beside raw uvicorn and gidgethub on aiohttp: `python -m tests.bench.ingest`.

Payloads are GitHub's own examples of 9 to 26 KB, of the events that Gatewright stores; every delivery id is new.
Contenders alternate in shuffled rounds on one machine, so read the ratios and the CPU columns first.
"""

from __future__ import annotations

import importlib.util
import os
import random
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec
import redis

from bot.embedded import EmbeddedRedis
from bot.forges.github_events import acts_on
from tests.bench.contenders import CONTENDERS, SECRET
from tests.bench.figures import Figure, cpu_us, machine, pss_mb
from tests.bench.load import Load, Signed, burst, sign

ROOT = Path(__file__).resolve().parents[2]
DATA = Path(os.environ.get("GATEWRIGHT_TEST_DATA", ROOT.parent / "shared" / "data"))
ROUNDS = 3
SECONDS = 2
CONNECTIONS = 32
AIM_CPU_US, AIM_MB, AIM_FIRST_MS = 200.0, 50.0, 400.0
NEEDS = {"gidgethub on aiohttp, no-op": ("aiohttp", "gidgethub")}
OURS = "gatewright, durable"
PEER = "gidgethub on aiohttp, no-op"


class Round(msgspec.Struct, frozen=True):
    """One contender's part of one round."""

    load: Load
    single: Load
    cpu_us: float
    redis_us: float


class Server(msgspec.Struct, frozen=True):
    """A contender that runs; `first_ms` is from its start to its first answer."""

    pid: int
    port: int
    first_ms: float
    idle_mb: float


def run() -> Sequence[Figure]:
    """Measure and print."""
    requests = deliveries()
    skipped = {name: missing for name in CONTENDERS if (missing := _missing(name))}
    names = [name for name in CONTENDERS if name not in skipped]
    with tempfile.TemporaryDirectory(prefix="gw-bench-") as work, EmbeddedRedis(Path(work) / "redis") as store:
        servers, rounds, after_mb = measure(names, requests, store, Path(work))
    report(requests, servers, rounds, after_mb)
    for name, missing in skipped.items():
        print(f"skipped: {name} ({', '.join(missing)} not installed)")
    ours = rounds[OURS]
    rate = statistics.median(r.load.requests / r.load.seconds for r in ours)
    return (
        Figure("delivery, CPU", statistics.median(r.cpu_us for r in ours), "us", AIM_CPU_US, note=f"{rate:.0f} req/s"),
        Figure("delivery, p99 at 32 connections", statistics.median(r.load.p99_ms for r in ours), "ms"),
        Figure("web process, PSS", servers[OURS].idle_mb, "MB", AIM_MB, note=f"after load {after_mb[OURS]:.0f}"),
        Figure("web process, first answer", servers[OURS].first_ms, "ms", AIM_FIRST_MS),
    )


def deliveries() -> list[Signed]:
    """Sign GitHub's examples of the usual size, as it sends them: without white space."""
    requests = []
    for line in (DATA / "forges/github/payloads/index.jsonl").read_bytes().splitlines():
        entry = msgspec.json.decode(line)
        body = msgspec.json.encode(msgspec.json.decode((DATA / "forges" / entry["file"]).read_bytes()))
        if 9_000 <= len(body) <= 26_000 and acts_on(entry["event"], entry["action"] or ""):
            requests.append(sign(entry["event"], body, SECRET))
    return requests


def measure(
    names: Sequence[str], requests: Sequence[Signed], store: EmbeddedRedis, work: Path
) -> tuple[dict[str, Server], dict[str, list[Round]], dict[str, float]]:
    """Run the rounds; the store is emptied after each burst, as control would."""
    rounds: dict[str, list[Round]] = {name: [] for name in names}
    with redis.Redis.from_url(store.url) as client, running(names, store.url) as servers:
        for name in names:
            burst(requests, servers[name].port, connections=4, seconds=1, work=work)
        for number in range(ROUNDS):
            for name in random.Random(number).sample(names, len(names)):
                rounds[name].append(_round(servers[name], requests, store, work))
                client.flushall()
        after_mb = {name: pss_mb(server.pid) for name, server in servers.items()}
    return servers, rounds, after_mb


def _round(server: Server, requests: Sequence[Signed], store: EmbeddedRedis, work: Path) -> Round:
    before, redis_before = cpu_us(server.pid), cpu_us(store.pid or 0)
    load = burst(requests, server.port, connections=CONNECTIONS, seconds=SECONDS, work=work)
    cpu, redis_cpu = cpu_us(server.pid) - before, cpu_us(store.pid or 0) - redis_before
    single = burst(requests, server.port, connections=1, seconds=1, work=work)
    return Round(load, single, cpu / load.requests, redis_cpu / load.requests)


@contextmanager
def running(names: Sequence[str], redis_url: str) -> Iterator[dict[str, Server]]:
    """Start the contenders, one process each, and stop them."""
    processes = []
    try:
        servers = {}
        for name in names:
            port = _free_port()
            began = time.perf_counter()
            command = [sys.executable, "-m", "tests.bench.contenders", name, str(port), redis_url]
            process = subprocess.Popen(command, cwd=ROOT)
            processes.append(process)
            first_ms = (_first_answer(port, process) - began) * 1e3
            servers[name] = Server(process.pid, port, first_ms, pss_mb(process.pid))
        yield servers
    finally:
        for process in processes:
            process.terminate()
        for process in processes:
            process.wait()


def report(
    requests: Sequence[Signed], servers: dict[str, Server], rounds: dict[str, list[Round]], after_mb: dict[str, float]
) -> None:
    """Print medians and ratios."""
    sizes = sorted(len(request.tail) for request in requests)
    print(f"ingest: {len(requests)} payloads, {sizes[0]}-{sizes[-1]} bytes, median {sizes[len(sizes) // 2]};", end=" ")
    print(f"{ROUNDS} rounds of {SECONDS} s at {CONNECTIONS} connections; {machine()}")
    columns = (
        "req/s",
        "ratio",
        "p50 ms",
        "p99 ms",
        "1c p50",
        "CPU us",
        "Redis us",
        "PSS MB",
        "after",
        "first ms",
        "bad",
    )
    print(f"{'':30}" + "".join(f"{column:>10}" for column in columns))
    anchor = PEER if PEER in rounds else OURS
    base = statistics.median(r.load.requests / r.load.seconds for r in rounds[anchor])
    for name, seen in rounds.items():
        rate = statistics.median(r.load.requests / r.load.seconds for r in seen)
        server = servers[name]
        cells = (
            f"{rate:.0f}",
            f"{rate / base:.2f}",
            f"{statistics.median(r.load.p50_ms for r in seen):.2f}",
            f"{statistics.median(r.load.p99_ms for r in seen):.1f}",
            f"{statistics.median(r.single.p50_ms for r in seen):.2f}",
            f"{statistics.median(r.cpu_us for r in seen):.0f}",
            f"{statistics.median(r.redis_us for r in seen):.0f}" if name == OURS else "-",
            f"{server.idle_mb:.0f}",
            f"{after_mb[name]:.0f}",
            f"{server.first_ms:.0f}",
            f"{sum(r.load.refused + r.single.refused for r in seen)}",
        )
        print(f"{name:30}" + "".join(f"{cell:>10}" for cell in cells))
    print(f"ratio is to {anchor}; PSS when idle and after the load; first: from process start to first answer")


def _missing(name: str) -> list[str]:
    return [module for module in NEEDS.get(name, ()) if importlib.util.find_spec(module) is None]


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _first_answer(port: int, process: subprocess.Popen[bytes]) -> float:
    while process.poll() is None:
        try:
            with socket.create_connection(("127.0.0.1", port), 1) as connection:
                connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
                if connection.recv(16):
                    return time.perf_counter()
        except ConnectionRefusedError:
            time.sleep(0.002)
    raise RuntimeError(f"{process.args!r} ended with {process.returncode}")


if __name__ == "__main__":
    run()
