"""The HTTP program behind both wires: it checks the key, plays the script, and remembers what it was asked."""

from __future__ import annotations

import asyncio
import contextlib
import json
from dataclasses import dataclass, field
from typing import Any, Self

import h11

from tests.simulators.models import anthropic, openai
from tests.simulators.models.script import Script, Step

REAL_KEY = "sk-real-upstream-key-0123456789"


@dataclass(frozen=True)
class Seen:
    """One request as it arrived."""

    method: str
    target: str
    headers: dict[str, str]
    body: dict[str, Any] = field(default_factory=dict)


class _Cut(Exception):
    """Drop the connection."""


class ModelServer:
    """Serve a script on 127.0.0.1 while the context lasts; anything but the real key gets 401."""

    def __init__(self, script: Script, *, key: str = REAL_KEY, port: int = 0) -> None:
        self.script = script
        self.key = key
        self.requests: list[Seen] = []
        self.refused: list[Seen] = []
        self._port = port
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        """Base URL without a path."""
        return f"http://127.0.0.1:{self._port}"

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self._port)
        self._port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        self._tasks.add(task)
        try:
            await self._connection(reader, writer)
        except (_Cut, ConnectionError, h11.RemoteProtocolError):
            writer.transport.abort()
        except asyncio.CancelledError:
            writer.transport.abort()
        finally:
            self._tasks.discard(task)
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        http = h11.Connection(h11.SERVER)
        while request := await _read(http, reader):
            head, raw = request
            headers = {name.decode(): value.decode("latin-1") for name, value in head.headers}
            body = json.loads(raw) if raw else {}
            seen = Seen(head.method.decode(), head.target.decode(), headers, body)
            await self._answer(seen, raw.decode(), _Reply(http, writer))
            if http.our_state is not h11.DONE or http.their_state is not h11.DONE:
                return
            http.start_next_cycle()

    async def _answer(self, seen: Seen, raw: str, reply: _Reply) -> None:
        path = seen.target.split("?", 1)[0]
        wire = anthropic if path.startswith("/v1/messages") else openai
        if not self._knows(seen, anthropic_wire=wire is anthropic):
            self.refused.append(seen)
            await reply.json(401, wire.error(401, "invalid x-api-key"))
            return
        self.requests.append(seen)
        if path == "/v1/messages/count_tokens":
            await reply.json(200, {"input_tokens": 42})
        elif seen.method == "POST" and path in ("/v1/messages", "/v1/chat/completions"):
            await self._play(seen, self.script.take(raw, seen.body), reply, is_anthropic=wire is anthropic)
        else:
            await reply.json(404, wire.error(404, f"no route {path}"))

    def _knows(self, seen: Seen, *, anthropic_wire: bool) -> bool:
        if seen.headers.get("x-api-key") == self.key:
            return anthropic_wire
        if seen.headers.get("authorization") != f"Bearer {self.key}":
            return False
        return not anthropic_wire or "oauth-2025-04-20" in seen.headers.get("anthropic-beta", "")

    async def _play(self, seen: Seen, step: Step, reply: _Reply, *, is_anthropic: bool) -> None:
        model = str(seen.body.get("model", ""))
        if step.hang == "before":
            await asyncio.sleep(3600)
        if step.status != 200 or step.body is not None:
            wire = anthropic if is_anthropic else openai
            body = wire.error(step.status, f"scripted {step.status}") if step.body is None else step.body
            await reply.json(step.status, body, step.headers)
            return
        if not seen.body.get("stream"):
            if step.cut:
                raise _Cut
            whole = anthropic.message(model, step) if is_anthropic else openai.completion(model, step)
            await reply.json(200, whole, step.headers)
            return
        if is_anthropic:
            events, broken = anthropic.events(model, step), anthropic.broken()
        else:
            asked = bool((seen.body.get("stream_options") or {}).get("include_usage"))
            events, broken = openai.events(model, step, usage=asked), openai.broken()
        await reply.stream(events, step, broken)


class _Reply:
    """One response on one connection."""

    def __init__(self, http: h11.Connection, writer: asyncio.StreamWriter) -> None:
        self._http = http
        self._writer = writer

    async def json(self, status: int, body: Any, headers: dict[str, str] | None = None) -> None:
        raw = body.encode() if isinstance(body, str) else json.dumps(body).encode()
        fields = {"content-type": "application/json", "content-length": str(len(raw)), **(headers or {})}
        await self._send(h11.Response(status_code=status, headers=list(fields.items())))
        await self._send(h11.Data(data=raw))
        await self._send(h11.EndOfMessage())

    async def stream(self, events: list[bytes], step: Step, broken: bytes) -> None:
        fields = {"content-type": "text/event-stream", "request-id": "req_scripted", **step.headers}
        await self._send(h11.Response(status_code=200, headers=list(fields.items())))
        middle = min(2, len(events) - 1)
        for at, event in enumerate(events):
            if at == middle and step.cut:
                raise _Cut
            if at == middle and step.hang == "mid":
                await asyncio.sleep(3600)
            if at == middle and step.broken:
                await self._send(h11.Data(data=broken))
                break
            if step.pause and at:
                await asyncio.sleep(step.pause)
            await self._send(h11.Data(data=event))
        await self._send(h11.EndOfMessage())

    async def _send(self, event: h11.Event) -> None:
        data = self._http.send(event)
        if data:
            self._writer.write(data)
            await self._writer.drain()


async def _read(http: h11.Connection, reader: asyncio.StreamReader) -> tuple[h11.Request, bytes] | None:
    head: h11.Request | None = None
    body = bytearray()
    while True:
        event = http.next_event()
        if event is h11.NEED_DATA:
            http.receive_data(await reader.read(65536))
        elif isinstance(event, h11.Request):
            head = event
        elif isinstance(event, h11.Data):
            body += event.data
        elif isinstance(event, h11.EndOfMessage) and head:
            return head, bytes(body)
        else:
            return None
