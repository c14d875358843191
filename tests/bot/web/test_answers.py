"""What is answered."""

from __future__ import annotations

import msgspec
import pytest

from bot.web.answers import Rejection, send_json, send_rejection


async def sent(rejection: Rejection) -> tuple[int, dict[bytes, bytes], dict]:
    messages = []

    async def send(message) -> None:
        messages.append(message)

    await send_rejection(send, rejection)
    start, body = messages
    return start["status"], dict(start["headers"]), msgspec.json.decode(body["body"])


@pytest.mark.parametrize(
    ("rejection", "header"),
    [
        (Rejection(503, "GW-X", "later"), (b"retry-after", b"10")),
        (Rejection(413, "GW-X", "too much", unread=True), (b"connection", b"close")),
        (Rejection(401, "GW-X", "who"), (b"cache-control", b"no-store")),
    ],
)
async def test_rejection_says_code_fault_and_mending(rejection: Rejection, header: tuple[bytes, bytes]) -> None:
    status, headers, body = await sent(rejection)
    assert status == rejection.status
    assert header in headers.items()
    assert body == {"error": {"code": "GW-X", "what": rejection.what, "fix": ""}}


async def test_length_is_that_of_the_body() -> None:
    messages = []

    async def send(message) -> None:
        messages.append(message)

    await send_json(send, 200, {"ü": 1})
    assert dict(messages[0]["headers"])[b"content-length"] == str(len(messages[1]["body"])).encode()
