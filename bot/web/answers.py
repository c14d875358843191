"""What the web process says: JSON, small, never what was sent to it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from starlette.types import Send

from bot.model.errors import GatewrightError


class Rejection(GatewrightError):
    """A request that is answered with an error: `status`, and whether the rest of it was left unread."""

    def __init__(self, status: int, code: str, what: str, *, fix: str = "", unread: bool = False) -> None:
        super().__init__(code, what, fix=fix)
        self.status = status
        self.unread = unread


async def send_json(send: Send, status: int, content: Any, headers: Sequence[tuple[bytes, bytes]] = ()) -> None:
    """Send a whole answer."""
    await send_body(send, status, msgspec.json.encode(content), headers)


async def send_body(send: Send, status: int, body: bytes, headers: Sequence[tuple[bytes, bytes]] = ()) -> None:
    """Send a whole answer whose JSON is encoded already."""
    length = str(len(body)).encode()
    base = [(b"content-type", b"application/json"), (b"content-length", length), *headers]
    await send({"type": "http.response.start", "status": status, "headers": base})
    await send({"type": "http.response.body", "body": body})


async def send_rejection(send: Send, rejection: Rejection) -> None:
    """Say what was wrong and how to mend it; the connection ends where the rest of the request was left unread."""
    headers = []
    if rejection.unread:
        headers.append((b"connection", b"close"))
    if rejection.status == 503:
        headers.append((b"retry-after", b"10"))
    if rejection.status == 401:
        headers.append((b"cache-control", b"no-store"))
    error = {"code": rejection.code, "what": rejection.what, "fix": rejection.fix}
    await send_json(send, rejection.status, {"error": error}, headers)
