"""Verify what a forge signed; pure, on bytes, in time that does not depend on which secret fits."""

from __future__ import annotations

import hmac
import re
from collections.abc import Sequence
from typing import Final

SIGNATURE: Final = re.compile(rb"sha256=[0-9a-f]{64}")


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
