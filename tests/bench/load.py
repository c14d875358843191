"""Send signed deliveries as fast as a server takes them: with wrk where it is on PATH, else from here."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import itertools
import re
import shutil
import statistics
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec

PATH = "/webhooks/github"


class Signed(msgspec.Struct, frozen=True):
    """A request in two halves: the delivery id goes between them, so that none is a duplicate."""

    head: bytes
    tail: bytes


class Load(msgspec.Struct, frozen=True):
    """What one burst saw; times in milliseconds."""

    requests: int
    seconds: float
    p50_ms: float
    p99_ms: float
    refused: int


def sign(event: str, body: bytes, secret: str) -> Signed:
    """Build the request that GitHub would send."""
    sha256 = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    sha1 = hmac.new(secret.encode(), body, hashlib.sha1).hexdigest()
    head = (
        f"POST {PATH} HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: GitHub-Hookshot/bench\r\nAccept: */*\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\nX-GitHub-Event: {event}\r\n"
        f"X-GitHub-Hook-ID: 1\r\nX-Hub-Signature: sha1={sha1}\r\nX-Hub-Signature-256: sha256={sha256}\r\n"
        "X-GitHub-Delivery: "
    )
    return Signed(head.encode(), b"\r\n\r\n" + body)


def burst(requests: Sequence[Signed], port: int, *, connections: int, seconds: float, work: Path) -> Load:
    """Load one server for some seconds."""
    if shutil.which("wrk"):
        return _wrk(requests, port, connections, seconds, work)
    return asyncio.run(_own(requests, port, connections, seconds))


def _wrk(requests: Sequence[Signed], port: int, connections: int, seconds: float, work: Path) -> Load:
    for index, request in enumerate(requests):
        (work / f"{index}.head").write_bytes(request.head)
        (work / f"{index}.tail").write_bytes(request.tail)
    script = work / "deliver.lua"
    # Times and connections make the ids differ between bursts.
    script.write_text(
        f"""local n, heads, tails, start = 0, {{}}, {{}}, '{time.time_ns():x}-'
local function read(name) local f = io.open('{work}/' .. name, 'rb'); local s = f:read('*a'); f:close(); return s end
init = function()
  for i = 1, {len(requests)} do heads[i] = read((i - 1) .. '.head'); tails[i] = read((i - 1) .. '.tail') end
end
request = function()
  n = n + 1
  local i = n % #heads + 1
  return heads[i] .. start .. n .. tails[i]
end
done = function(s, l)
  local e = s.errors
  print(string.format('RESULT %d %d %d %d %d', s.requests, s.duration, l:percentile(50), l:percentile(99),
    e.status + e.connect + e.read + e.write + e.timeout))
end
"""
    )
    command = [
        "wrk",
        "-t1",
        f"-c{connections}",
        f"-d{seconds:.0f}s",
        "-s",
        str(script),
        f"http://127.0.0.1:{port}{PATH}",
    ]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    found = re.search(r"RESULT (\d+) (\d+) (\d+) (\d+) (\d+)", said)
    if found is None:
        raise RuntimeError(f"wrk said something else:\n{said}")
    count, micros, p50, p99, refused = map(int, found.groups())
    return Load(count, micros / 1e6, p50 / 1e3, p99 / 1e3, refused)


async def _own(requests: Sequence[Signed], port: int, connections: int, seconds: float) -> Load:
    took: list[float] = []
    refused = 0
    numbers = itertools.count()
    start = f"{time.time_ns():x}-"
    end = time.perf_counter() + seconds

    async def connection() -> None:
        nonlocal refused
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while (began := time.perf_counter()) < end:
            number = next(numbers)
            request = requests[number % len(requests)]
            writer.write(request.head + f"{start}{number}".encode() + request.tail)
            head = await reader.readuntil(b"\r\n\r\n")
            length = re.search(rb"(?i)content-length: (\d+)", head)
            await reader.readexactly(int(length[1]) if length else 0)
            took.append(time.perf_counter() - began)
            refused += not head.startswith(b"HTTP/1.1 2")
        writer.close()
        await writer.wait_closed()

    began = time.perf_counter()
    await asyncio.gather(*(connection() for _ in range(connections)))
    cuts = statistics.quantiles(took, n=100)
    return Load(len(took), time.perf_counter() - began, cuts[49] * 1e3, cuts[98] * 1e3, refused)
