"""Time stamps (RFC 3161): an authority's word that bytes existed at a time, over their SHA-256.

`rfc3161-client` does the reading; it is an extra, and nothing else needs it.
"""

from __future__ import annotations

import hashlib
from datetime import datetime
from types import ModuleType
from typing import Final

from cryptography.x509 import Certificate, load_pem_x509_certificates

from bot.model.errors import UsageError

QUERY_TYPE: Final = "application/timestamp-query"
REPLY_TYPE: Final = "application/timestamp-reply"
LIMIT: Final = 64 * 1024  # bytes of a reply
_SHA256: Final = "2.16.840.1.101.3.4.2.1"


class TimestampError(ValueError):
    """Bytes that are no time stamp over these, or by nobody who is trusted."""


def query(message: bytes) -> bytes:
    """Ask for a time stamp over a message, with a nonce and with the authority's certificate in the reply."""
    client = _client()
    made: bytes = (
        client.TimestampRequestBuilder().data(message).hash_algorithm(client.HashAlgorithm.SHA256).build().as_bytes()
    )
    return made


def read(token: bytes, message: bytes) -> datetime:
    """Read which time a reply names for a message; raise TimestampError where it is about something else.

    This believes the reply: `verify` does not.
    """
    client = _client()
    if len(token) > LIMIT:
        raise TimestampError("longer than a time stamp may be")
    try:
        reply = client.decode_timestamp_response(token)
        status, info = reply.status, reply.tst_info
        algorithm, digest = info.message_imprint.hash_algorithm.dotted_string, info.message_imprint.message
        time: datetime = info.gen_time
    except (ValueError, TypeError, AttributeError) as error:
        raise TimestampError(f"no time stamp: {error}") from None
    if status != client.PKIStatus.GRANTED.value:
        raise TimestampError(f"the authority did not grant it (status {status})")
    if algorithm != _SHA256 or digest != hashlib.sha256(message).digest():
        raise TimestampError("a time stamp over something else")
    return time


def verify(token: bytes, message: bytes, roots: bytes) -> datetime:
    """Read a time stamp (UTC) and hold it to PEM roots; raise TimestampError where it does not hold.

    Certificates have to be valid at the time that it names, not today.
    """
    client, anchors = _client(), certificates(roots)
    time = read(token, message)
    builder = client.VerifierBuilder()
    for anchor in anchors:
        builder = builder.add_root_certificate(anchor)
    try:
        builder.build().verify_message(client.decode_timestamp_response(token), message)
    except (client.VerificationError, ValueError) as error:
        raise TimestampError(f"not by an authority that is trusted: {error}") from None
    return time


def certificates(roots: bytes) -> tuple[Certificate, ...]:
    """Read PEM certificates, each once; raise TimestampError where there are none."""
    try:
        return tuple(dict.fromkeys(load_pem_x509_certificates(roots)))
    except ValueError as error:
        raise TimestampError(f"no certificates in PEM form: {error}") from None


def _client() -> ModuleType:
    try:
        import rfc3161_client  # noqa: PLC0415 - an extra
    except ImportError:
        raise UsageError(
            "GW-AUDIT-TSA", "time stamps need a library that is not installed",
            fix="pip install 'gatewright[tsa]'",
        ) from None  # fmt: skip
    return rfc3161_client
