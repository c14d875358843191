"""Take deliveries: `POST /webhooks/github`.

What a delivery passes, in this order; each step is labelled below, and none is skipped for any event:

(0) a secret is configured: without one every delivery is refused
(1) the content type is one that is read here, and the body is not compressed
(2) the body is no larger than the forge's own limit, by its announced length and by count, and arrives in time;
    where no signature could fit, its bytes are dropped as they come
(3) there is exactly one X-Hub-Signature-256, and it is the body's under one of the secrets; SHA-1 is never looked at
(4) the event and the delivery id are there, and are of characters that are safe in keys and logs
(5) the payload is one JSON object
(6) an event that nobody acts on is acknowledged and forgotten
(7) everything else is on disk before it is acknowledged, once for each delivery id

No log line holds a body, a secret, a signature or a header that has not passed (4).
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable, Sequence
from typing import Final, Literal

from starlette.types import Receive, Scope, Send

from bot.inbox import Answer, Delivery, Inbox, read_payload
from bot.model.errors import Unavailable
from bot.web.answers import Rejection, send_body, send_rejection
from bot.web.body import FORM, BodyReader, json_of_form, media_type
from bot.web.signature import looks_signed, verify_github

log = logging.getLogger(__name__)

EVENT: Final = re.compile(rb"[a-z_]{1,64}")
DELIVERY: Final = re.compile(rb"[A-Za-z0-9-]{1,64}")  # GitHub sends a GUID
UNSET_FIX: Final = "set [github] webhook_secrets"
SIGNATURE_FIX: Final = "the webhook's secret must be one of [github] webhook_secrets"
READ: Final = (
    b"content-type",
    b"content-encoding",
    b"content-length",
    b"x-hub-signature-256",
    b"x-github-event",
    b"x-github-delivery",
)


class GitHubWebhook:
    """An ASGI application that answers one delivery: 202 when it is stored, seen before or of no interest."""

    def __init__(
        self,
        *,
        secrets: Sequence[str],
        host: str,
        inbox: Inbox,
        reader: BodyReader,
        acts_on: Callable[[str, str], bool],
    ) -> None:
        # An empty secret would verify what anybody can sign.
        self._secrets = [secret.encode() for secret in secrets if secret]
        self._host = host
        self._inbox = inbox
        self._reader = reader
        self._acts_on = acts_on

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Take one delivery."""
        try:
            delivery, status = await self._take(scope["headers"], receive)
        except Rejection as rejection:
            log.warning("github delivery refused: %d %s", rejection.status, rejection.code)
            await send_rejection(send, rejection)
            return
        # Both values are of safe characters by now.
        await send_body(send, 202, b'{"delivery":"%b","status":"%b"}' % (delivery.encode(), status.encode()))

    async def _take(
        self, raw_headers: Sequence[tuple[bytes, bytes]], receive: Receive
    ) -> tuple[str, Answer | Literal["ignored"]]:
        # (0) A route without a secret is closed, not open.
        if not self._secrets:
            raise Rejection(503, "GW-WEB-NO-SECRET", "No webhook secret is configured.", fix=UNSET_FIX, unread=True)
        headers = _headers(raw_headers)

        # (1) One of two content types, uncompressed: a few bytes cannot become many.
        kind = media_type(headers.get(b"content-type"))
        if headers.get(b"content-encoding", b"identity").lower() != b"identity":
            raise Rejection(415, "GW-WEB-ENCODING", "Compressed bodies are not read here.", unread=True)

        # (2) Bounded in size, time and memory.
        self._reader.check_length(headers.get(b"content-length"))
        signature = headers.get(b"x-hub-signature-256", b"")
        is_signed = looks_signed(signature)
        body = await self._reader.read(receive, keep=is_signed)

        # (3) On the raw bytes, before anything looks into them.
        if not is_signed or not verify_github(self._secrets, body, signature):
            raise Rejection(401, "GW-WEB-SIGNATURE", "The signature is missing or wrong.", fix=SIGNATURE_FIX)

        # (4) Names which are used in keys, logs and answers.
        event = _name(EVENT, headers, b"x-github-event")
        delivery_id = _name(DELIVERY, headers, b"x-github-delivery")

        # (5) One JSON object.
        try:
            text = json_of_form(body) if kind == FORM else body
            action = read_payload(text).get("action")
        except ValueError:
            raise Rejection(400, "GW-WEB-PAYLOAD", "The payload is not one JSON object in UTF-8.") from None
        action = action if isinstance(action, str) else ""

        # (6) Not for us: 2xx, since forges count errors and switch hooks off.
        if not self._acts_on(event, action):
            return delivery_id, "ignored"

        # (7) Durable before it is acknowledged.
        now_ms = time.time_ns() // 1_000_000
        return delivery_id, await self._store(
            Delivery("github", self._host, delivery_id, event, action, text, received_ms=now_ms)
        )

    async def _store(self, delivery: Delivery) -> Answer:
        try:
            answer = await self._inbox.offer(delivery)
        except Unavailable as error:
            log.error("github delivery %s not stored: %s (%s)", delivery.id, error.code, error.why)  # noqa: TRY400
            raise Rejection(503, error.code, error.what) from None
        if answer == "full":
            raise Rejection(503, "GW-WEB-FULL", "Too many deliveries wait.", fix="see whether control runs")
        return answer


def _headers(raw: Sequence[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
    """Take each header once; one of ours that comes twice is refused, whichever of the two is good."""
    headers = dict(raw)
    if len(headers) != len(raw):
        names = [name for name, _ in raw]
        for name in READ:
            if names.count(name) > 1:
                status = 401 if name == b"x-hub-signature-256" else 400
                raise Rejection(status, "GW-WEB-TWICE", f"The header {name.decode()} came twice.", unread=True)
    return headers


def _name(pattern: re.Pattern[bytes], headers: dict[bytes, bytes], name: bytes) -> str:
    value = headers.get(name, b"")
    if not pattern.fullmatch(value):
        raise Rejection(400, "GW-WEB-HEADER", f"The header {name.decode()} is missing or malformed.")
    return value.decode()
