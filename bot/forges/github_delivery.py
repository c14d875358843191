"""How GitHub signs and names its deliveries; pure, on bytes, in time that does not depend on which secret fits."""

from __future__ import annotations

import hmac
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from bot.forges import github_events
from bot.forges.github_shapes import Id

SIGNATURE: Final = re.compile(rb"sha256=[0-9a-f]{64}")
EVENT: Final = re.compile(rb"[a-z_]{1,64}")
DELIVERY: Final = re.compile(rb"[A-Za-z0-9-]{1,64}")  # GitHub sends a GUID


class Named(msgspec.Struct, frozen=True):
    """A repository by its number."""

    id: Id


class Claim(msgspec.Struct, frozen=True):
    """The one thing that is read of a body before it is proven."""

    repository: Named


class GitHubDelivery:
    """Tell what comes from GitHub from what anybody sends; implements bot.web.webhooks.Scheme."""

    forge: Final = "github"
    setting: Final = "[github] webhook_secrets"
    event_header: Final = b"x-github-event"
    delivery_header: Final = b"x-github-delivery"
    proofs: Final = (b"x-hub-signature-256",)
    takes_forms: Final = True

    def __init__(self, secrets: Sequence[str]) -> None:
        # An empty secret would verify what anybody can sign.
        self._secrets = [secret.encode() for secret in secrets if secret]

    @property
    def is_armed(self) -> bool:
        """Tell whether there is anything to verify with."""
        return bool(self._secrets)

    def may_be_genuine(self, headers: Mapping[bytes, bytes], now: float) -> bool:
        """Tell from the headers alone whether the body is worth keeping."""
        return looks_signed(headers.get(b"x-hub-signature-256", b""))

    def is_genuine(self, headers: Mapping[bytes, bytes], body: bytes) -> bool:
        """Verify the body; SHA-1 is never looked at."""
        return verify_github(self._secrets, body, headers.get(b"x-hub-signature-256", b""))

    def claims(self, body: bytes) -> int:
        """Read which repository an unproven body says to be about; 0 where it does not say."""
        try:
            return msgspec.json.decode(body, type=Claim).repository.id
        except (msgspec.MsgspecError, RecursionError, UnicodeError):
            return 0

    def targets(self, event: str, payload: dict[str, Any]) -> frozenset[int]:
        """Read which repositories control would act on, with control's own reader."""
        read = github_events.parse(event, payload, delivery="", host="", received_ms=0)
        return frozenset((read.repo.id,)) if read else frozenset()

    def event(self, headers: Mapping[bytes, bytes]) -> str:
        """Name the event, empty where the header is missing or unsafe in keys and logs."""
        return _safe(EVENT, headers.get(self.event_header, b""))

    def delivery(self, headers: Mapping[bytes, bytes], body: bytes) -> str:
        """Name the delivery; a redelivery has the same name."""
        return _safe(DELIVERY, headers.get(self.delivery_header, b""))

    def action(self, payload: Mapping[str, Any]) -> str:
        """Find what was done."""
        action = payload.get("action")
        return action if isinstance(action, str) else ""

    def acts_on(self, event: str, action: str) -> bool:
        """Tell whether anybody acts on it."""
        return github_events.acts_on(event, action)


def looks_signed(header: bytes) -> bool:
    """Tell whether a header can be a signature at all, before anything is kept for its sake."""
    return SIGNATURE.fullmatch(header) is not None


def verify_github(secrets: Sequence[bytes], body: bytes, header: bytes) -> bool:
    """Compare `X-Hub-Signature-256` with the body's HMAC-SHA256 under every secret; no secret verifies nothing.

    https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries
    """
    verified = False
    for secret in secrets:
        expected = b"sha256=" + hmac.digest(secret, body, "sha256").hex().encode()
        # No early exit: which of the secrets fits is nobody's business. Bytes, since str raises on non-ASCII.
        verified |= hmac.compare_digest(expected, header)
    return verified


def _safe(pattern: re.Pattern[bytes], value: bytes) -> str:
    return value.decode() if pattern.fullmatch(value) else ""
