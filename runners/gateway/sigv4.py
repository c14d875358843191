"""AWS Signature Version 4 (https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv.html).

Our own because botocore, the kept library, brings the descriptions of all of AWS; held against AWS's test suite.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final
from urllib.parse import quote

import httpx
import msgspec

ALGORITHM: Final = "AWS4-HMAC-SHA256"


class Keys(msgspec.Struct, frozen=True):
    """Who signs, and for what."""

    access: str
    secret: str
    session: str  # of temporary credentials
    region: str
    service: str = "bedrock"

    def __repr__(self) -> str:
        return f"Keys({self.region!r}, {self.service!r})"


def signed(method: str, url: str, headers: Mapping[str, str], body: bytes, keys: Keys, now: datetime) -> dict[str, str]:
    """Make the headers that sign a request with these (lower case) headers, its host and its body."""
    target = httpx.URL(url)  # as httpx will send it
    stamp = now.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
    added = {"x-amz-date": stamp} | ({"x-amz-security-token": keys.session} if keys.session else {})
    bound = dict(headers) | added | {"host": target.netloc.decode()}
    names = ";".join(sorted(bound))
    path, _, query = target.raw_path.decode().partition("?")
    canonical = "\n".join(
        (
            method,
            quote(path, safe="/~"),  # a second time: what S3 alone leaves out
            "&".join(sorted(query.split("&"))),
            *(f"{name}:{' '.join(bound[name].split())}" for name in sorted(bound)),
            "",
            names,
            hashlib.sha256(body).hexdigest(),
        )
    )
    scope = f"{stamp[:8]}/{keys.region}/{keys.service}/aws4_request"
    text = "\n".join((ALGORITHM, stamp, scope, hashlib.sha256(canonical.encode()).hexdigest()))
    key = f"AWS4{keys.secret}".encode()
    for part in scope.split("/"):
        key = _mac(key, part)
    signature = _mac(key, text).hex()
    credential = f"Credential={keys.access}/{scope}, SignedHeaders={names}, Signature={signature}"
    return added | {"authorization": f"{ALGORITHM} {credential}"}


def _mac(key: bytes, text: str) -> bytes:
    return hmac.digest(key, text.encode(), "sha256")
