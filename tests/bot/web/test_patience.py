"""Connections that ask nothing."""

from __future__ import annotations

import asyncio

import uvicorn

from bot.web.patience import Patience


async def slow(scope, receive, send) -> None:
    """Answer after a while: longer than the patience with silent connections."""
    await receive()
    await asyncio.sleep(0.6)
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body"})


async def ask(sent: bytes) -> bytes:
    """Send bytes, wait for the server to end the connection, return what it said."""
    config = uvicorn.Config(slow, port=0, http=Patience(0.2), lifespan="off", ws="none", log_config=None)
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.005)
    reader, writer = await asyncio.open_connection("127.0.0.1", server.servers[0].sockets[0].getsockname()[1])
    writer.write(sent)
    said = await asyncio.wait_for(reader.read(), 5)
    writer.close()
    await writer.wait_closed()
    server.should_exit = True
    await serving
    return said


async def test_silent_connection_is_closed() -> None:
    assert await ask(b"") == b""


async def test_head_that_never_ends_is_closed() -> None:
    assert await ask(b"POST / HTTP/1.1\r\nHost: x\r\nX-Slow: ") == b""


async def test_second_head_that_never_ends_is_closed_after_the_first_answer() -> None:
    said = await ask(b"GET / HTTP/1.1\r\nHost: x\r\n\r\nGET / HTTP/1.1\r\nX-Slow: ")
    assert said.count(b"HTTP/1.1 204") == 1


async def test_request_that_is_being_answered_is_not_disturbed() -> None:
    assert b"204" in await ask(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
