"""HTTP/1.1 on one connection: h11 reads the grammar, this file bounds it."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping
from typing import Any, Final

import h11

from runners.gateway.errors import Denied

HEAD_MAX: Final = 64 << 10  # bytes of request line and headers
HEAD_SECONDS: Final = 60.0  # for a head to arrive, also between two requests
BODY_SECONDS: Final = 60.0  # for a body to arrive
SEND_SECONDS: Final = 120.0  # for a client to take what it asked for
LINGER_MAX: Final = 64 << 20  # bytes read off after a refusal
LINGER_SECONDS: Final = 2.0
PIECE: Final = 64 << 10


class Connection:
    """One client; requests follow one another, what comes too early waits."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=HEAD_MAX)
        self.started = False  # whether a response has begun

    async def request(self) -> h11.Request | None:
        """Read the next head; None where the client has gone or is too slow."""
        self.started = False
        try:
            async with asyncio.timeout(HEAD_SECONDS):
                event = await self._next()
        except TimeoutError:
            return None
        return event if isinstance(event, h11.Request) else None

    async def body(self, limit: int) -> bytes:
        """Read the body; Denied where it is larger than `limit` bytes or too slow."""
        if self._http.they_are_waiting_for_100_continue:
            await self._send(h11.InformationalResponse(status_code=100, headers=[]))
        parts: list[bytes] = []
        size = 0
        try:
            async with asyncio.timeout(BODY_SECONDS):
                while isinstance(event := await self._next(), h11.Data):
                    size += len(event.data)
                    if size > limit:
                        raise Denied(413, "SIZE", f"the request is larger than {limit} bytes")
                    parts.append(bytes(event.data))
        except TimeoutError:
            raise Denied(408, "SLOW", f"the request did not arrive within {BODY_SECONDS:.0f} s") from None
        if not isinstance(event, h11.EndOfMessage):
            raise ConnectionResetError("the client went away within its request")
        return b"".join(parts)

    async def head(self, status: int, headers: Mapping[str, str]) -> None:
        """Begin a response."""
        self.started = True
        await self._send(h11.Response(status_code=status, headers=list(headers.items())))

    async def send(self, piece: bytes) -> None:
        """Send a piece of the response now; waits while the client does not read."""
        await self._send(h11.Data(data=piece))

    async def end(self) -> None:
        """End the response."""
        await self._send(h11.EndOfMessage())

    async def answer(self, status: int, body: bytes, headers: Mapping[str, str] | None = None) -> None:
        """Send a whole response in one piece; JSON where the headers do not say otherwise."""
        fields = {"content-type": "application/json", **(headers or {}), "content-length": str(len(body))}
        self.started = True
        head = h11.Response(status_code=status, headers=list(fields.items()))
        await self._send(head, h11.Data(data=body), h11.EndOfMessage())

    def again(self) -> bool:
        """Make ready for the next request; False where this connection has to end."""
        if self._http.our_state is not h11.DONE or self._http.their_state is not h11.DONE:
            return False
        self._http.start_next_cycle()
        return True

    async def unless_gone(self, work: Coroutine[Any, Any, None]) -> None:
        """Do some work while the client is there: a model that nobody listens to still costs."""
        task, gone = asyncio.ensure_future(work), asyncio.ensure_future(self.gone())
        try:
            done, _ = await asyncio.wait({task, gone}, return_when=asyncio.FIRST_COMPLETED)
            if task not in done:
                raise ConnectionResetError("the client hung up")
            task.result()
        finally:
            task.cancel()
            gone.cancel()
            await asyncio.gather(task, gone, return_exceptions=True)

    async def gone(self) -> None:
        """Return when the client hangs up; what it sends meanwhile is kept for the next request."""
        while data := await self._reader.read(PIECE):
            self._http.receive_data(data)
            if len(self._http.trailing_data[0]) > HEAD_MAX:
                return  # nobody pipelines that much in good faith

    async def linger(self) -> None:
        """End our side and read off the rest: a close with unread bytes would cost the client the answer."""
        self._writer.write_eof()
        left = LINGER_MAX
        try:
            async with asyncio.timeout(LINGER_SECONDS):
                while left > 0 and (data := await self._reader.read(PIECE)):
                    left -= len(data)
        except TimeoutError:
            return

    def abort(self) -> None:
        """Drop the connection, so that an unfinished response cannot pass for a whole one."""
        self._writer.transport.abort()

    async def close(self) -> None:
        """Close after all is sent."""
        self._writer.close()
        try:
            await self._writer.wait_closed()
        except ConnectionError:
            return  # the client was faster

    async def _next(self) -> h11.Event | type[h11.PAUSED]:
        while (event := self._http.next_event()) is h11.NEED_DATA:
            self._http.receive_data(await self._reader.read(PIECE))
        return event  # type: ignore[return-value] # NEED_DATA is what the loop is for

    async def _send(self, *events: h11.Event) -> None:
        data = b"".join(self._http.send(event) or b"" for event in events)
        if not data:
            return
        self._writer.write(data)
        transport = self._writer.transport
        if not transport.get_write_buffer_size() and not transport.is_closing():
            return  # it has gone out: nothing to wait for
        try:
            async with asyncio.timeout(SEND_SECONDS):
                await self._writer.drain()
        except TimeoutError:
            raise ConnectionResetError(f"the client read nothing for {SEND_SECONDS:.0f} s") from None
