"""What the gateway adds to a model call, beside a direct way to the same server: `python -m tests.bench.gateway`.

Client, gateway and model are three processes on this machine; the client is httpx, over TCP to the model and over the
gateway's unix socket, in turns. Every chunk of a stream carries the time at which the model sent it, so that its way is
measured and not how fast a client can read. Records are made and dropped: what keeping them costs is the journal's.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx

from tests.bench.figures import Figure, cpu_us, machine, percentiles

ROOT = Path(__file__).resolve().parents[2]
PATH = "/v1/chat/completions"
CALLS, STREAMS, CHUNKS = 150, 6, 250
PAUSE = 0.002  # seconds between chunks
LONG = 50 << 20  # bytes
PIECE = 16 << 10  # bytes of a chunk of the long stream
AIM_CALL_MS, AIM_CHUNK_MS, AIM_MB = 2.0, 0.1, 8.0
FIELDS = {"model": "bench", "messages": [{"role": "user", "content": "x" * 8_000}]}


def run() -> Sequence[Figure]:
    """Measure and print."""
    with tempfile.TemporaryDirectory(prefix="gw-bench-") as work, _started("model") as model:
        url = model["url"]
        with _started("door", work, url) as door:
            calls, chunks, cpu, growth = asyncio.run(measure(url, door))
    print(f"model gateway, {CALLS} calls and {STREAMS * CHUNKS} chunks each way, ms; {machine()}")
    print(f"{'':30}{'p50':>8}{'p95':>8}")
    added = []
    for name, (direct, through) in (("call", calls), ("chunk", chunks)):
        for way, values in (("direct", direct), ("through the gateway", through)):
            print(f"{name + ', ' + way:30}{percentiles(values)[0]:>8.3f}{percentiles(values)[1]:>8.3f}")
        added.append(percentiles(through)[0] - percentiles(direct)[0])
    print(f"CPU of the gateway's process: {cpu[0]:.2f} ms a call, {cpu[1]:.3f} ms a chunk that comes alone")
    print(f"memory of the gateway's process: {growth:+.1f} MB at most while {LONG >> 20} MB passed")
    return (
        Figure("gateway, added to a call", added[0], "ms", AIM_CALL_MS, note=f"CPU {cpu[0]:.2f} ms"),
        Figure("gateway, added to a chunk", added[1], "ms", AIM_CHUNK_MS, note=f"CPU {cpu[1]:.3f} ms"),
        Figure(f"gateway, growth on a stream of {LONG >> 20} MB", growth, "MB", AIM_MB),
    )


Pair = tuple[list[float], list[float]]


async def measure(url: str, door: Mapping[str, Any]) -> tuple[Pair, Pair, tuple[float, float], float]:
    """Ask both ways in turns; give milliseconds of calls and chunks, of CPU for each, and megabytes."""
    transport = httpx.AsyncHTTPTransport(uds=door["socket"])
    headers = {"authorization": f"Bearer {door['token']}"}
    async with (
        httpx.AsyncClient(base_url=url, headers=headers, timeout=60) as direct,
        httpx.AsyncClient(transport=transport, base_url="http://door", headers=headers, timeout=60) as through,
    ):
        ways = (direct, through)
        calls: Pair = ([], [])
        chunks: Pair = ([], [])
        for client in ways:
            for _ in range(20):  # imports, connections and caches
                await _call(client)
            await _stream(client, 50)
        marks = [cpu_us(door["pid"])]
        for _ in range(CALLS):
            for client, seen in zip(ways, calls, strict=True):
                seen.append(await _call(client))
        marks.append(cpu_us(door["pid"]))
        for _ in range(STREAMS):
            for client, seen in zip(ways, chunks, strict=True):
                seen.extend(await _stream(client, CHUNKS))
        marks.append(cpu_us(door["pid"]))
        cpu = (marks[1] - marks[0]) / CALLS / 1e3, (marks[2] - marks[1]) / (STREAMS * CHUNKS) / 1e3
        return calls, chunks, cpu, await _growth(through, door["pid"])


async def _call(client: httpx.AsyncClient) -> float:
    began = time.perf_counter()
    answer = await client.post(PATH, json=FIELDS)
    assert answer.json()["choices"][0]["finish_reason"] == "stop"
    return (time.perf_counter() - began) * 1e3


async def _stream(client: httpx.AsyncClient, count: int) -> list[float]:
    events: list[tuple[float, bytes]] = []
    async with client.stream("POST", PATH, json=FIELDS | {"stream": True, "max_tokens": count}) as answer:
        async for piece in answer.aiter_raw():
            now = time.monotonic()
            events += [(now, event) for event in piece.split(b"\n\n") if b'"sent"' in event]
    assert len(events) == count, len(events)
    return [(now - json.loads(event[6:])["sent"]) * 1e3 for now, event in events]


async def _growth(client: httpx.AsyncClient, pid: int) -> float:
    """Let a long stream pass; give how far the gateway's memory rose above what it was."""
    before = most = _rss_mb(pid)
    fields = FIELDS | {"stream": True, "max_tokens": LONG // PIECE, "seed": PIECE}
    size = 0
    async with client.stream("POST", PATH, json=fields) as answer:
        async for piece in answer.aiter_raw():
            if size // (1 << 20) != (size + len(piece)) // (1 << 20):
                most = max(most, _rss_mb(pid))
            size += len(piece)
    assert size > LONG
    return most - before


def _rss_mb(pid: int) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError("no VmRSS")


@contextmanager
def _started(*arguments: str) -> Iterator[dict[str, Any]]:
    """Start one of the other processes; it prints one line when it is ready, and ends with its stdin."""
    command = [sys.executable, "-m", "tests.bench.gateway", *arguments]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT) as process:
        assert process.stdin
        assert process.stdout
        try:
            yield json.loads(process.stdout.readline()) | {"pid": process.pid}
        finally:
            process.stdin.close()
            process.wait(30)


async def serve_door(work: str, url: str) -> None:
    """Be the gateway's process."""
    from bot.settings import Price  # the model's process need not load it
    from runners.gateway.server import Gateway
    from runners.providers.protocol import Upstream

    class Dropped:
        def record(self, kind: str, data: Mapping[str, Any], **more: Any) -> None:
            """Drop it."""

    upstreams = {"openai": Upstream("openai", f"{url}/v1", "key")}
    prices = {"bench": Price(input=1.0, output=1.0)}
    async with Gateway(Path(work), upstreams, "bench", Dropped(), 1, prices=prices) as door:
        print(json.dumps({"token": door.token, "socket": str(door.socket)}), flush=True)
        await asyncio.to_thread(sys.stdin.read)


async def serve_model() -> None:
    """Be the model's process."""
    server = await asyncio.start_server(_converse, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    print(json.dumps({"url": f"http://127.0.0.1:{port}"}), flush=True)
    await asyncio.to_thread(sys.stdin.read)
    server.close()


async def _converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            length = int(head.partition(b"content-length:")[2].partition(b"\r")[0])
            await _reply(writer, json.loads(await reader.readexactly(length)))
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()


async def _reply(writer: asyncio.StreamWriter, asked: Mapping[str, Any]) -> None:
    usage = {"prompt_tokens": 2_000, "completion_tokens": 20}
    if not asked.get("stream"):
        said = {"message": {"role": "assistant", "content": "done"}, "finish_reason": "stop"}
        body = json.dumps({"choices": [said], "usage": usage}).encode()
        writer.write(
            b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n" % len(body) + body
        )
        return await writer.drain()
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n")
    text = "x" * asked.get("seed", 20)
    for _ in range(asked["max_tokens"]):
        if "seed" not in asked:
            await asyncio.sleep(PAUSE)
        chunk = {"choices": [{"index": 0, "delta": {"content": text}}], "sent": time.monotonic()}
        await _event(writer, chunk)
    await _event(writer, {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}], "usage": usage})
    writer.write(b"0\r\n\r\n")
    return await writer.drain()


async def _event(writer: asyncio.StreamWriter, chunk: Mapping[str, Any]) -> None:
    data = f"data: {json.dumps(chunk)}\n\n".encode()
    writer.write(b"%x\r\n%s\r\n" % (len(data), data))
    await writer.drain()


if __name__ == "__main__":
    if sys.argv[1:2] == ["door"]:
        asyncio.run(serve_door(*sys.argv[2:]))
    elif sys.argv[1:2] == ["model"]:
        asyncio.run(serve_model())
    else:
        run()
