"""Faults on demand: refusals, slowness, answers that never arrive."""

from __future__ import annotations

import asyncio
import json
import re
from dataclasses import dataclass, field
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

EMPTY_JSON: Final = b"{}"


@dataclass
class Fault:
    """What befalls the next `times` requests whose method and path (searched) match.

    `status` answers in place of GitHub; `delay` seconds pass first; `cut` breaks the connection in the answer, after
    the request was carried out, so that the caller cannot know.
    """

    method: str
    path: str
    status: int | None = None
    headers: dict[str, str] = field(default_factory=dict)
    message: str = "Server Error"
    body: bytes | None = None
    delay: float = 0.0
    cut: bool = False
    times: int = 1
    hits: int = 0

    def strikes(self, method: str, path: str) -> bool:
        """Tell whether it befalls this request."""
        return self.hits < self.times and method == self.method and re.search(self.path, path) is not None


class Faults:
    """ASGI middleware in front of everything."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self.planned: list[Fault] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let one planned fault befall a request, or pass it on."""
        fault = None
        if scope["type"] == "http":
            path = scope["raw_path"].decode("latin1")
            fault = next((f for f in self.planned if f.strikes(scope["method"], path)), None)
        if fault is None:
            await self._app(scope, receive, send)
            return
        fault.hits += 1
        await asyncio.sleep(fault.delay)
        if fault.status is not None:
            await self._refuse(fault, send)
        elif fault.cut:
            await self._app(scope, receive, _cutting(send))
        else:
            await self._app(scope, receive, send)

    async def _refuse(self, fault: Fault, send: Send) -> None:
        body = json.dumps({"message": fault.message}).encode() if fault.body is None else fault.body
        headers = {"content-type": "application/json; charset=utf-8", **fault.headers}
        raw = [(name.encode(), value.encode()) for name, value in headers.items()]
        raw.append((b"content-length", str(len(body)).encode()))
        await send({"type": "http.response.start", "status": fault.status, "headers": raw})
        await send({"type": "http.response.body", "body": body})


def _cutting(send: Send) -> Send:
    """Promise more than is sent: the server then closes the connection in the middle."""

    async def tell(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = [(n, v) for n, v in message["headers"] if n.lower() != b"content-length"]
            message = {**message, "headers": [*headers, (b"content-length", b"1000000")]}
        elif message["type"] == "http.response.body":
            message = {**message, "body": EMPTY_JSON[:1]}
        await send(message)

    return tell
