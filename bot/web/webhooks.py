"""Take deliveries: `POST /webhooks/<forge>`, the same way for every forge.

What a delivery passes, in this order; each step is labelled below, and none is skipped for any event:

(0) a secret is configured: without one every delivery is refused
(1) the content type is one that is read here, and the body is not compressed
(2) the body is no larger than the forge's own limit, by its announced length and by count, and arrives in time;
    where no proof could fit, its bytes are dropped as they come
(3) each header of proof came at most once, and together they prove the body under one of the secrets: those of the
    repository that the body claims to be about, where it has its own, else those of the forge
(4) the event and the delivery id are there, and are of characters that are safe in keys and logs
(5) the payload is one JSON object
(6) an event that nobody acts on is acknowledged and forgotten
(7) what control will read in the payload is about a repository whose secrets proved it
(8) everything else is on disk before it is acknowledged, once for each delivery id

Where repositories have secrets of their own, (3) looks into a body that nobody has proven yet: at one number, by a
typed decoder that builds nothing else, in a body that is bounded by (2) and whose headers could be a proof. A lie there
only chooses which secrets are tried: who knows the secret of A and claims A is held to A by (7), where control's own
reader says what the payload is about; who claims B needs B's secret; and the forge's secrets open no repository that
has its own. A repository is its number: forges' clients compare it with the path before they use a path.

How a forge proves and names a delivery is that forge's: a Scheme in bot/forges. No log line holds a body, a secret, a
signature or a header that has not passed (4).
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, Literal, Protocol

from starlette.types import Receive, Scope, Send

from bot.inbox import Answer, Delivery, Inbox, read_payload
from bot.model.errors import GatewrightError, Unavailable
from bot.web.answers import Rejection, send_body, send_rejection
from bot.web.body import FORM, BodyReader, json_of_form, media_type

log = logging.getLogger(__name__)

READ: Final = (b"content-type", b"content-encoding", b"content-length")
Headers = Mapping[bytes, bytes]


class Scheme(Protocol):
    """How one forge proves and names what it sends; pure."""

    @property
    def forge(self) -> str:
        """The forge's name in inbox and log."""

    @property
    def setting(self) -> str:
        """Where its secrets are set."""

    @property
    def event_header(self) -> bytes:
        """The header that names the event."""

    @property
    def delivery_header(self) -> bytes:
        """The header that names the delivery."""

    @property
    def proofs(self) -> Sequence[bytes]:
        """The headers that prove it."""

    @property
    def takes_forms(self) -> bool:
        """Whether a payload may come as a form."""

    @property
    def is_armed(self) -> bool:
        """Whether there is a secret to verify with."""

    def may_be_genuine(self, headers: Headers, now: float) -> bool:
        """Tell from the headers alone, at this Unix time, whether the body is worth keeping."""

    def is_genuine(self, headers: Headers, body: bytes) -> bool:
        """Verify the body."""

    def claims(self, body: bytes) -> int:
        """Read which repository an unproven body says to be about; 0 where it does not say."""

    def targets(self, event: str, payload: dict[str, Any]) -> frozenset[int]:
        """Read which repositories control would act on; raises GatewrightError where control could not read it."""

    def event(self, headers: Headers) -> str:
        """Name the event; empty where the header is missing or malformed."""

    def delivery(self, headers: Headers, body: bytes) -> str:
        """Name the delivery, the same each time it is sent; empty where that cannot be."""

    def action(self, payload: Mapping[str, Any]) -> str:
        """Find what was done."""

    def acts_on(self, event: str, action: str) -> bool:
        """Tell whether anybody acts on it."""


class Webhook:
    """An ASGI application that answers one delivery: 202 when it is stored, seen before or of no interest."""

    def __init__(
        self,
        scheme: Scheme,
        *,
        host: str,
        inbox: Inbox,
        reader: BodyReader,
        own: Mapping[int, Scheme] | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._scheme = scheme
        self._own = own or {}  # repository id -> the scheme with its own secrets
        self._once = (*READ, *scheme.proofs, scheme.event_header, scheme.delivery_header)
        self._host = host
        self._inbox = inbox
        self._reader = reader
        self._clock = clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Take one delivery."""
        try:
            delivery, status = await self._take(scope["headers"], receive)
        except Rejection as rejection:
            log.warning("%s delivery refused: %d %s", self._scheme.forge, rejection.status, rejection.code)
            await send_rejection(send, rejection)
            return
        # Both values are of safe characters by now.
        await send_body(send, 202, b'{"delivery":"%b","status":"%b"}' % (delivery.encode(), status.encode()))

    async def _take(
        self, raw_headers: Sequence[tuple[bytes, bytes]], receive: Receive
    ) -> tuple[str, Answer | Literal["ignored"]]:
        scheme = self._scheme
        # (0) A route without a secret is closed, not open.
        if not scheme.is_armed and not self._own:
            fix = f"set {scheme.setting}"
            raise Rejection(503, "GW-WEB-NO-SECRET", "No webhook secret is configured.", fix=fix, unread=True)
        headers = self._headers(raw_headers)

        # (1) One of two content types, uncompressed: a few bytes cannot become many.
        kind = media_type(headers.get(b"content-type"), forms=scheme.takes_forms)
        if headers.get(b"content-encoding", b"identity").lower() != b"identity":
            raise Rejection(415, "GW-WEB-ENCODING", "Compressed bodies are not read here.", unread=True)

        # (2) Bounded in size, time and memory.
        self._reader.check_length(headers.get(b"content-length"))
        now = self._clock()
        # All are asked, whatever the first one says: which of the secrets fits is nobody's business.
        looks = [each.may_be_genuine(headers, now) for each in (scheme, *self._own.values())]
        may_be_genuine = any(looks)
        body = await self._reader.read(receive, keep=may_be_genuine)

        # (3) On the raw bytes, before anything but the claim is looked for in them.
        if self._own and may_be_genuine:
            scheme = self._for(scheme.claims(_text(kind, body) or b""))
        if not may_be_genuine or not scheme.may_be_genuine(headers, now) or not scheme.is_genuine(headers, body):
            raise self._unproven()

        # (4) Names which are used in keys, logs and answers.
        event = _there(scheme.event(headers), scheme.event_header)
        delivery_id = _there(scheme.delivery(headers, body), scheme.delivery_header)

        # (5) One JSON object.
        text = _text(kind, body) or b""
        try:
            payload = read_payload(text)
        except ValueError:
            raise Rejection(400, "GW-WEB-PAYLOAD", "The payload is not one JSON object in UTF-8.") from None
        action = scheme.action(payload)

        # (6) Not for us: 2xx, since forges count errors and switch hooks off.
        if not scheme.acts_on(event, action):
            return delivery_id, "ignored"

        # (7) What was proven is what will be read.
        if self._own:
            self._check(scheme, event, payload)

        # (8) Durable before it is acknowledged.
        now_ms = int(self._clock() * 1_000)
        return delivery_id, await self._store(
            Delivery(scheme.forge, self._host, delivery_id, event, action, text, received_ms=now_ms)
        )

    def _for(self, repository: int) -> Scheme:
        """Choose by whose secrets a delivery has to be proven."""
        return self._own.get(repository, self._scheme)

    def _check(self, proven: Scheme, event: str, payload: dict[str, Any]) -> None:
        try:
            targets = proven.targets(event, payload)
        except GatewrightError:
            raise Rejection(400, "GW-WEB-PAYLOAD", "The payload is not one of this forge's.") from None
        if any(self._for(target) is not proven for target in targets):
            raise self._unproven()

    def _unproven(self) -> Rejection:
        fix = f"the webhook's secret must be one of {self._scheme.setting}, or the repository's own where it has one"
        return Rejection(401, "GW-WEB-SIGNATURE", "The signature is missing or wrong.", fix=fix)

    async def _store(self, delivery: Delivery) -> Answer:
        try:
            answer = await self._inbox.offer(delivery)
        except Unavailable as error:
            log.error("%s delivery %s not stored: %s (%s)", delivery.forge, delivery.id, error.code, error.why)  # noqa: TRY400
            raise Rejection(503, error.code, error.what) from None
        if answer == "full":
            raise Rejection(503, "GW-WEB-FULL", "Too many deliveries wait.", fix="see whether control runs")
        return answer

    def _headers(self, raw: Sequence[tuple[bytes, bytes]]) -> dict[bytes, bytes]:
        """Take each header once; one of ours that comes twice is refused, whichever of the two is good."""
        headers = dict(raw)
        if len(headers) != len(raw):
            names = [name for name, _ in raw]
            for name in self._once:
                if names.count(name) > 1:
                    status = 401 if name in self._scheme.proofs else 400
                    raise Rejection(status, "GW-WEB-TWICE", f"The header {name.decode()} came twice.", unread=True)
        return headers


def _text(kind: bytes, body: bytes) -> bytes | None:
    """Take the JSON out of a body, None where there is none."""
    try:
        return json_of_form(body) if kind == FORM else body
    except ValueError:
        return None


def _there(value: str, header: bytes) -> str:
    if not value:
        raise Rejection(400, "GW-WEB-HEADER", f"The header {header.decode()} is missing or malformed.")
    return value
