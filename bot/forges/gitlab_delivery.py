"""How GitLab proves and names its deliveries; pure, on bytes, in time that does not depend on which secret fits.

There are two proofs. `X-Gitlab-Token` is the secret itself, in every request, and says nothing about the body. The
signing token (https://www.standardwebhooks.com) covers id, time and body. Where a signature is sent and we have the
key to it, it alone decides: a right token does not make up for a wrong signature.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from bot.forges import gitlab_events
from bot.forges.gitlab_shapes import MaybeId
from bot.model.errors import UsageError

EVENT: Final = re.compile(rb"[A-Z][A-Za-z]{0,31}(?: [A-Z][a-z]{1,31}){1,4}")
DELIVERY: Final = re.compile(rb"[A-Za-z0-9_-]{1,64}")
STAMP: Final = re.compile(rb"[0-9]{1,12}")
SIGNATURES: Final = re.compile(rb"[\x21-\x7e]{4,200}(?: [\x21-\x7e]{4,200}){0,15}")
PREFIX: Final = "whsec_"
SKEW: Final = 300.0  # seconds; older or later ones may be replays
SHORTEST_KEY: Final = 16  # bytes


class Named(msgspec.Struct, frozen=True):
    """A project by its number, wherever a payload of any age says it."""

    id: MaybeId = None
    target_project_id: MaybeId = None
    project_id: MaybeId = None


class Claim(msgspec.Struct, frozen=True):
    """The one thing that is read of a body before it is proven."""

    project: Named = Named()
    project_id: MaybeId = None
    object_attributes: Named = Named()


class GitLabDelivery:
    """Tell what comes from GitLab from what anybody sends; implements bot.web.webhooks.Scheme."""

    forge: Final = "gitlab"
    setting: Final = "[gitlab] webhook_tokens or signing_secrets"
    event_header: Final = b"x-gitlab-event"
    delivery_header: Final = b"idempotency-key"
    proofs: Final = (b"x-gitlab-token", b"webhook-id", b"webhook-timestamp", b"webhook-signature")
    takes_forms: Final = False

    def __init__(self, tokens: Sequence[str], signing_secrets: Sequence[str], *, require_signing: bool = False) -> None:
        # An empty token would admit everybody.
        self._tokens = [] if require_signing else [token.encode() for token in tokens if token]
        self._keys = [signing_key(secret) for secret in signing_secrets]

    @property
    def is_armed(self) -> bool:
        """Tell whether there is anything to verify with."""
        return bool(self._tokens or self._keys)

    def may_be_genuine(self, headers: Mapping[bytes, bytes], now: float) -> bool:
        """Tell from the headers alone, at this Unix time, whether the body is worth keeping."""
        if not self._is_signed(headers):
            return self._has_token(headers)
        stamp = headers.get(b"webhook-timestamp", b"")
        in_time = STAMP.fullmatch(stamp) is not None and abs(now - int(stamp)) <= SKEW
        known = DELIVERY.fullmatch(headers.get(b"webhook-id", b"")) is not None
        return in_time and known and SIGNATURES.fullmatch(headers[b"webhook-signature"]) is not None

    def is_genuine(self, headers: Mapping[bytes, bytes], body: bytes) -> bool:
        """Verify what `may_be_genuine` let pass."""
        if not self._is_signed(headers):
            return self._has_token(headers)
        content = b"%b.%b.%b" % (headers.get(b"webhook-id", b""), headers.get(b"webhook-timestamp", b""), body)
        return verify_signature(self._keys, content, headers[b"webhook-signature"])

    def claims(self, body: bytes) -> int:
        """Read which project an unproven body says to be about; 0 where it does not say."""
        try:
            said = msgspec.json.decode(body, type=Claim)
        except (msgspec.MsgspecError, RecursionError, UnicodeError):
            return 0
        subject = said.object_attributes
        return said.project.id or said.project_id or subject.target_project_id or subject.project_id or 0

    def targets(self, event: str, payload: dict[str, Any]) -> frozenset[int]:
        """Read which projects control would act on, with control's own reader."""
        read = gitlab_events.parse(event, payload, delivery="", host="", received_ms=0)
        return frozenset(each.repo.id for each in read)

    def event(self, headers: Mapping[bytes, bytes]) -> str:
        """Name the event, empty where the header is missing or unsafe in keys and logs."""
        return _safe(EVENT, headers.get(self.event_header, b""))

    def delivery(self, headers: Mapping[bytes, bytes], body: bytes) -> str:
        """Name the delivery, the same for its retries; before 17.4 GitLab sends no name and its content is the name.

        `X-Gitlab-Event-UUID` is shared along a chain of hooks and `X-Gitlab-Webhook-UUID` is new in every request.
        """
        if self._is_signed(headers):  # the id that the signature covers
            return _safe(DELIVERY, headers.get(b"webhook-id", b""))
        if self.delivery_header in headers:
            return _safe(DELIVERY, headers[self.delivery_header])
        seen = hashlib.sha256(b"gatewright/gitlab/delivery/v1\n")
        for name in (b"x-gitlab-instance", self.event_header):
            seen.update(headers.get(name, b"") + b"\n")
        seen.update(body)
        return f"body-{seen.hexdigest()[:40]}"

    def action(self, payload: Mapping[str, Any]) -> str:
        """Find what was done."""
        return gitlab_events.action_of(payload)

    def acts_on(self, event: str, action: str) -> bool:
        """Tell whether anybody acts on it."""
        return gitlab_events.acts_on(event, action)

    def _is_signed(self, headers: Mapping[bytes, bytes]) -> bool:
        return bool(self._keys) and b"webhook-signature" in headers

    def _has_token(self, headers: Mapping[bytes, bytes]) -> bool:
        given, found = headers.get(b"x-gitlab-token", b""), False
        for token in self._tokens:
            # No early exit: which of them fits is nobody's business. Digests, so that lengths are not told either.
            found |= hmac.compare_digest(hashlib.sha256(token).digest(), hashlib.sha256(given).digest())
        return found


def signing_key(secret: str) -> bytes:
    """Derive the key from a signing token: what stands after `whsec_` in base64, else the characters themselves."""
    if not secret.startswith(PREFIX):
        key = secret.encode()
    else:
        try:
            key = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
        except (binascii.Error, ValueError):
            key = b""
    if len(key) < SHORTEST_KEY:
        raise UsageError(
            "GW-WEB-SIGNING-SECRET",
            "A signing secret of [gitlab] cannot be used.",
            why=f"it is no base64 after {PREFIX}, or holds less than {SHORTEST_KEY} bytes",
            fix="copy it again from the webhook's settings on GitLab, whole",
        )
    return key


def verify_signature(keys: Sequence[bytes], content: bytes, header: bytes) -> bool:
    """Compare every `v1` value of a `webhook-signature` with the HMAC-SHA256 under every key."""
    verified = False
    for key in keys:
        expected = b"v1," + base64.b64encode(hmac.digest(key, content, "sha256"))
        for value in header.split(b" "):
            verified |= hmac.compare_digest(expected, value)
    return verified


def _safe(pattern: re.Pattern[bytes], value: bytes) -> str:
    return value.decode() if pattern.fullmatch(value) else ""
