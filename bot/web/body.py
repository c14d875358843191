"""Read a request's body within bounds of size, time and memory, and take the JSON out of it."""

from __future__ import annotations

import asyncio
from typing import Final
from urllib.parse import parse_qsl

import msgspec
from starlette.types import Receive

from bot.web.answers import Rejection

JSON: Final = b"application/json"
FORM: Final = b"application/x-www-form-urlencoded"


class Limits(msgspec.Struct, frozen=True):
    """How much of one request, and of all at once, is put up with."""

    body_bytes: int = 26_214_400  # both forges deliver nothing larger than 25 MiB
    idle_seconds: float = 5.0  # between two pieces
    total_seconds: float = 20.0  # the forge itself gives up after 10
    large_bytes: int = 1_048_576  # a larger body needs one of the places below; deliveries have 10 to 30 KB
    large_at_once: int = 4


class BodyReader:
    """Read bodies while they stream; one for the whole process, since memory is shared."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self._large = 0

    def check_length(self, announced: bytes | None) -> None:
        """Refuse a body that says it is too large, before a byte of it is read."""
        if announced is not None and (not announced.isdigit() or int(announced[:20]) > self.limits.body_bytes):
            raise self._too_large()

    async def read(self, receive: Receive, *, keep: bool) -> bytes:
        """Read to the end; 413 or 408 as soon as a limit is passed. Without `keep` bytes are counted and dropped."""
        loop = asyncio.get_running_loop()
        end = loop.time() + self.limits.total_seconds
        pieces: list[bytes] = []
        size = 0
        is_large = False
        try:
            async with asyncio.timeout(self.limits.idle_seconds) as patience:
                while True:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise Rejection(400, "GW-WEB-CUT", "The body ended before it was complete.", unread=True)
                    piece = message.get("body", b"")
                    size += len(piece)
                    if size > self.limits.body_bytes:
                        raise self._too_large()
                    if keep:
                        pieces.append(piece)
                        if size > self.limits.large_bytes and not is_large:
                            is_large = self._take_place()
                    if not message.get("more_body", False):
                        return pieces[0] if len(pieces) == 1 else b"".join(pieces)
                    patience.reschedule(min(loop.time() + self.limits.idle_seconds, end))
        except TimeoutError:
            raise Rejection(408, "GW-WEB-SLOW", "The body took too long.", unread=True) from None
        finally:
            self._large -= is_large

    def _take_place(self) -> bool:
        if self._large >= self.limits.large_at_once:
            raise Rejection(503, "GW-WEB-BUSY", "Too many large deliveries at once.", unread=True)
        self._large += 1
        return True

    def _too_large(self) -> Rejection:
        what = f"The body is larger than {self.limits.body_bytes} bytes."
        return Rejection(413, "GW-WEB-TOO-LARGE", what, fix="no forge delivers as much", unread=True)


def media_type(header: bytes | None, *, forms: bool = True) -> bytes:
    """Read a Content-Type: JSON, or FORM where `forms` are taken, else 415; no charset but UTF-8 either."""
    kind, _, parameters = (header or b"").lower().partition(b";")
    charset = parameters.strip()
    taken = (JSON, FORM) if forms else (JSON,)
    if kind.strip() not in taken or charset not in (b"", b"charset=utf-8", b'charset="utf-8"'):
        fix = "choose the content type application/json in the webhook's settings"
        raise Rejection(415, "GW-WEB-TYPE", "The content type is not one that is read here.", fix=fix, unread=True)
    return kind.strip()


def json_of_form(body: bytes) -> bytes:
    """Take the JSON out of `payload=<percent-encoded JSON>`; ValueError unless there is exactly that one field."""
    fields = parse_qsl(
        body.decode("ascii"), keep_blank_values=True, strict_parsing=True, errors="strict", max_num_fields=1
    )
    [(name, value)] = fields
    if name != "payload":
        raise ValueError("no payload field")
    return value.encode()
