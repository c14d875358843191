"""The filtering proxy of one attempt: a unix socket behind which only policy's hosts can be reached."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path
from typing import Final, Self

import h11
import msgspec
import structlog

from runners.egress.book import Book, Line
from runners.egress.requests import Asked, forwarded, read
from runners.egress.rules import Rules
from runners.egress.way import Blocked, Resolve, Streams, connect, parent, pinned, resolve, through, tunnel
from runners.gateway.listener import listen
from runners.providers.protocol import Recorder

NAME: Final = "egress.sock"
PIECE: Final = 64 << 10
HEAD_MAX: Final = 32 << 10
HEAD_SECONDS: Final = 30.0

log = structlog.get_logger(__name__)


class Bounds(msgspec.Struct, frozen=True):
    """Where it ends; bytes are of all connections together."""

    connections: int = 64  # at once; one more is dropped
    idle_seconds: float = 120.0
    connect_seconds: float = 15.0  # to each address
    sent: int = 1 << 30
    received: int = 16 << 30


class Egress:
    """Serve CONNECT and plain HTTP while the context lasts, one request on each connection.

    `uid` is the jail's user, who alone may connect (None: ours). A fault of the recorder ends everything and is raised
    at the end of the context.
    """

    def __init__(
        self,
        directory: Path,
        rules: Rules,
        recorder: Recorder,
        *,
        rule: str = "egress",
        uid: int | None = None,
        bounds: Bounds = Bounds(),  # noqa: B008 - frozen
        ask: Resolve = resolve,
    ) -> None:
        self.socket = directory / NAME
        self.book = Book(recorder, rule)
        self._rules = rules
        self._uid = uid
        self._bounds = bounds
        self._ask = ask
        self._open: set[asyncio.Task[None]] = set()
        self._fault: Exception | None = None

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_unix_server(self._accept, sock=listen(self.socket, self._uid), backlog=128)
        return self

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._server.close()
        for task in list(self._open):
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)
        self.socket.unlink(missing_ok=True)
        if self._fault is None:
            self.book.close()
        elif kind is None:
            raise self._fault.__cause__ or self._fault

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task  # noqa: S101 - asyncio runs this as a task
        if self._fault or len(self._open) >= self._bounds.connections:
            log.warning("egress.dropped", open=len(self._open))
            writer.transport.abort()
            return
        self._open.add(task)
        try:
            await self._serve(reader, writer)
            writer.close()
            await writer.wait_closed()
        except (OSError, TimeoutError, h11.RemoteProtocolError, asyncio.CancelledError) as problem:
            log.info("egress.broken", reason=str(problem)[:200])
            writer.transport.abort()  # so that half an answer cannot pass for a whole one
        except Exception as problem:  # noqa: BLE001 - kept and raised where the door closes
            self._fault = self._fault or problem
            writer.transport.abort()
        finally:
            self._open.discard(task)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner = h11.Connection(h11.SERVER, max_incomplete_event_size=HEAD_MAX)
        wanted = "?"
        try:
            try:
                async with asyncio.timeout(HEAD_SECONDS):
                    request = await _next(inner, reader)
            except h11.RemoteProtocolError as wrong:
                raise Blocked(400, f"no request that HTTP knows: {wrong}") from None
            if not isinstance(request, h11.Request):
                return
            wanted = request.target.decode("ascii", "replace")
            asked = read(request)
            wanted = str(asked.target)
            self._check(asked)
            if asked.is_tunnel:
                await self._tunnel(asked, inner, (reader, writer))
            else:
                await self._forward(asked, request, inner, (reader, writer))
        except Blocked as blocked:
            self.book.refuse(wanted, blocked.why)
            await _refuse(inner, writer, blocked)

    def _check(self, asked: Asked) -> None:
        if not self._rules.lets(asked.target):
            raise Blocked(403, f"policy does not let {asked.target} be reached from here")
        if self.book.sent >= self._bounds.sent or self.book.received >= self._bounds.received:
            raise Blocked(403, "as many bytes as may be have gone through here")

    async def _reach(self, asked: Asked) -> tuple[Streams, Line, str]:
        """Connect; answers with what a plain request needs to pass the site's proxy, empty where there is none."""
        up = parent(asked.target, "https" if asked.is_tunnel else "http")
        if up is None or asked.target.address:
            addresses = await pinned(asked.target, self._rules, self._ask)
        else:
            await self._look(asked)
            addresses = []
        line = self.book.open(asked.target, "the site's proxy" if up else ", ".join(map(str, addresses)))
        if up is None:
            return await connect(addresses, asked.target.port, self._bounds.connect_seconds), line, ""
        streams = await through(up)
        try:
            if asked.is_tunnel:
                await tunnel(up, asked.target, streams)
        except BaseException:
            streams[1].transport.abort()
            raise
        return streams, line, up.authorization or "none"

    async def _look(self, asked: Asked) -> None:
        """Refuse a name that we know to lead into the house; most sites resolve foreign names at their proxy alone."""
        try:
            await pinned(asked.target, self._rules, self._ask)
        except Blocked as blocked:
            if blocked.status != 502:
                raise

    async def _tunnel(self, asked: Asked, inner: h11.Connection, inside: Streams) -> None:
        outside, line, _ = await self._reach(asked)
        try:
            event = await _next(inner, inside[0])
            if not isinstance(event, h11.EndOfMessage):
                raise ConnectionResetError("the client went away")
            inside[1].write(inner.send(h11.Response(status_code=200, headers=[])) or b"")
            early = inner.trailing_data[0]
            outside[1].write(early)
            self.book.moved(line, sent=len(early))
            async with asyncio.timeout(self._bounds.idle_seconds) as clock:
                await asyncio.gather(
                    self._copy(inside[0], outside[1], line, clock, is_out=True),
                    self._copy(outside[0], inside[1], line, clock, is_out=False),
                )
        finally:
            outside[1].transport.abort()

    async def _copy(
        self,
        source: asyncio.StreamReader,
        sink: asyncio.StreamWriter,
        line: Line,
        clock: asyncio.Timeout,
        *,
        is_out: bool,
    ) -> None:
        while piece := await source.read(PIECE):
            clock.reschedule(asyncio.get_running_loop().time() + self._bounds.idle_seconds)
            self._count(line, len(piece), is_out=is_out)
            sink.write(piece)
            await sink.drain()
        if sink.can_write_eof():
            sink.write_eof()

    def _count(self, line: Line, size: int, *, is_out: bool) -> None:
        self.book.moved(line, sent=size if is_out else 0, received=0 if is_out else size)
        if self.book.sent > self._bounds.sent or self.book.received > self._bounds.received:
            raise ConnectionResetError("too many bytes")

    async def _forward(self, asked: Asked, request: h11.Request, inner: h11.Connection, inside: Streams) -> None:
        (reader, writer), line, via = await self._reach(asked)
        outer = h11.Connection(h11.CLIENT, max_incomplete_event_size=HEAD_MAX)
        try:
            async with asyncio.timeout(self._bounds.idle_seconds) as clock:
                await self._send(_head(asked, request, via), outer, writer, line)
                if inner.they_are_waiting_for_100_continue:
                    inside[1].write(inner.send(h11.InformationalResponse(status_code=100, headers=[])) or b"")
                while isinstance(event := await _next(inner, inside[0]), h11.Data | h11.EndOfMessage):
                    clock.reschedule(asyncio.get_running_loop().time() + self._bounds.idle_seconds)
                    await self._send(_plain(event), outer, writer, line)
                    if isinstance(event, h11.EndOfMessage):
                        break
                while not isinstance(event := await _next(outer, reader), h11.EndOfMessage | h11.ConnectionClosed):
                    clock.reschedule(asyncio.get_running_loop().time() + self._bounds.idle_seconds)
                    await self._answer(event, inner, inside[1], line)
            inside[1].write(inner.send(h11.EndOfMessage()) or b"")
            await inside[1].drain()
        finally:
            writer.transport.abort()

    async def _send(self, event: h11.Event, outer: h11.Connection, writer: asyncio.StreamWriter, line: Line) -> None:
        data = outer.send(event) or b""
        self._count(line, len(data), is_out=True)
        writer.write(data)
        await writer.drain()

    async def _answer(self, event: object, inner: h11.Connection, writer: asyncio.StreamWriter, line: Line) -> None:
        if isinstance(event, h11.Response):
            fields = forwarded([(bytes(name), bytes(value)) for name, value in event.headers])
            head = h11.Response(status_code=event.status_code, headers=[*fields, (b"connection", b"close")])
            writer.write(inner.send(head) or b"")
        elif isinstance(event, h11.Data):
            self._count(line, len(event.data), is_out=False)
            writer.write(inner.send(h11.Data(data=bytes(event.data))) or b"")
        await writer.drain()


def _head(asked: Asked, request: h11.Request, via: str) -> h11.Request:
    """Write the head anew: our Host, one request on this connection, nothing of the hop before."""
    where = str(asked.target).removesuffix(":80")
    fields = [(b"host", where.encode()), *asked.headers, (b"connection", b"close")]
    if via and via != "none":
        fields.append((b"proxy-authorization", via.encode()))
    wanted = f"http://{where}{asked.path}" if via else asked.path
    return h11.Request(method=request.method, target=wanted.encode(), headers=fields)


def _plain(event: h11.Data | h11.EndOfMessage) -> h11.Event:
    return (
        h11.Data(data=bytes(event.data)) if isinstance(event, h11.Data) else h11.EndOfMessage()
    )  # trailers are dropped


async def _next(http: h11.Connection, reader: asyncio.StreamReader) -> object:
    while (event := http.next_event()) is h11.NEED_DATA:
        http.receive_data(await reader.read(PIECE))
    return event


async def _refuse(inner: h11.Connection, writer: asyncio.StreamWriter, blocked: Blocked) -> None:
    """Answer in words, if the client can still be answered."""
    body = f"gatewright: {blocked.why}\n".encode()
    fields = {"content-type": "text/plain; charset=utf-8", "content-length": str(len(body)), "connection": "close"}
    with contextlib.suppress(h11.LocalProtocolError, ConnectionError):
        for event in (
            h11.Response(status_code=blocked.status, headers=list(fields.items())), h11.Data(data=body),
            h11.EndOfMessage(),
        ):  # fmt: skip
            writer.write(inner.send(event) or b"")
        await writer.drain()
