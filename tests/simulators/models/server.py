"""The HTTP program behind all wires: it checks the key, plays the script, and remembers what it was asked."""

from __future__ import annotations

import asyncio
import contextlib
import json
from dataclasses import dataclass, field
from typing import Any, Self

import h11

from tests.simulators.models import bedrock, ollama, wires
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
        self.down = 0  # so many requests get 503, whatever they ask for
        self.models: tuple[str, ...] = ("toy",)  # what `GET /v1/models` lists
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
            await self._answer(seen, raw, _Reply(http, writer))
            if http.our_state is not h11.DONE or http.their_state is not h11.DONE:
                return
            http.start_next_cycle()

    async def _answer(self, seen: Seen, raw: bytes, reply: _Reply) -> None:
        path = seen.target.split("?", 1)[0]
        wire = wires.lists(seen.method, path, seen.headers) or wires.wire_of(path)
        if not self._knows(seen, wire, raw):
            self.refused.append(seen)
            await reply.json(401, wires.ERRORS[wire](401, "invalid x-api-key"))
            return
        self.requests.append(seen)
        if self.down:
            self.down -= 1
            await reply.json(503, wires.ERRORS[wire](503, "down"))
        elif path == "/v1/messages/count_tokens":
            await reply.json(200, {"input_tokens": 42})
        elif wires.COUNT.fullmatch(path):
            await reply.json(200, {"totalTokens": 42})
        elif wires.lists(seen.method, path, seen.headers) == "gemini":
            await reply.json(200, {"models": [{"name": f"models/{name}"} for name in self.models]})
        elif wires.lists(seen.method, path, seen.headers):
            listed = [{"id": name, "object": "model", "created": 1, "owned_by": "script"} for name in self.models]
            await reply.json(200, {"object": "list", "data": listed})
        elif (seen.method, path) == ("GET", "/api/tags"):
            await reply.json(200, ollama.tags())
        elif (seen.method, path) == ("POST", "/api/show"):
            await reply.json(200, ollama.show())
        elif seen.method == "POST" and wires.asks(path):
            await self._play(seen, self.script.take(raw.decode(), seen.body), reply, wire)
        else:
            await reply.json(404, wires.ERRORS[wire](404, f"no route {path}"))

    def _knows(self, seen: Seen, wire: str, raw: bytes) -> bool:
        if wire == "bedrock":
            return bedrock.knows(seen.method, self.url + seen.target, seen.headers, raw, self.key)
        return wires.knows(seen.headers, wire, self.key)

    async def _play(self, seen: Seen, step: Step, reply: _Reply, wire: str) -> None:
        if step.hang == "before":
            await asyncio.sleep(3600)
        if step.status != 200 or step.body is not None:
            error = wires.ERRORS[wire]
            body = error(step.status, f"scripted {step.status}") if step.body is None else step.body
            await reply.json(step.status, body, step.headers)
            return
        path, _, query = seen.target.partition("?")
        shaped = wires.shape(path, query, seen.body, step)
        if shaped.events is not None:
            await reply.stream(shaped.events, step, shaped.broken, shaped.content_type)
        elif step.cut:
            raise _Cut
        else:
            await reply.json(200, shaped.whole, step.headers)


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

    async def stream(self, events: list[bytes], step: Step, broken: bytes, content_type: str) -> None:
        fields = {"content-type": content_type, "request-id": "req_scripted", **step.headers}
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
