"""What a proxy is asked for, read so strictly that no two readers can understand it differently; pure."""

from __future__ import annotations

import re
from typing import Final

import h11
import msgspec

from runners.egress.rules import Target, target
from runners.egress.way import Blocked

HTTP, HTTPS = 80, 443
# Ours to say, or about one hop only; transfer-encoding stays, since h11 frames the body by it anew.
HOP: Final = frozenset({
    b"connection", b"keep-alive", b"proxy-connection", b"proxy-authorization", b"proxy-authenticate", b"te",
    b"trailer", b"upgrade", b"expect", b"host",
})  # fmt: skip
Headers = list[tuple[bytes, bytes]]


class Asked(msgspec.Struct, frozen=True):
    """One request: where to, and for plain HTTP with which head."""

    target: Target
    is_tunnel: bool
    path: str = ""
    headers: tuple[tuple[bytes, bytes], ...] = ()


def read(request: h11.Request) -> Asked:
    """Understand a head; raise Blocked where it is no proxy's, or could mean two things."""
    wanted = request.target.decode("ascii", "replace")
    fields = [(bytes(name), bytes(value)) for name, value in request.headers]
    names = [name for name, _ in fields]
    if b"transfer-encoding" in names and b"content-length" in names:
        raise Blocked(400, "the request says its length in two ways")
    if request.method == b"CONNECT":
        found = target(wanted)
        if found is None or b"transfer-encoding" in names or b"content-length" in names:
            raise Blocked(400, "CONNECT takes host:port and no body")
        _check_host(fields, found)
        return Asked(found, True)
    parts = re.fullmatch(r"http://([^/?#]*)([/?][^#]*)?", wanted, re.IGNORECASE)
    found = target(parts[1], default=HTTP) if parts else None
    if parts is None or found is None:
        raise Blocked(400, "a proxy is asked with CONNECT, or with a whole http:// address")
    _check_host(fields, found)
    path = parts[2] or "/"
    return Asked(found, False, path if path.startswith("/") else f"/{path}", tuple(forwarded(fields)))


def forwarded(fields: Headers) -> Headers:
    """Leave out what is about one hop only."""
    named = {
        each.strip().lower() for name, value in fields if name == b"connection" for each in value.split(b",")
    } - {b"content-length", b"transfer-encoding"}  # fmt: skip
    return [(name, value) for name, value in fields if name not in HOP and name not in named]


def _check_host(fields: Headers, wanted: Target) -> None:
    for name, value in fields:
        if name == b"host" and target(value.decode("latin-1"), default=wanted.port) != wanted:
            raise Blocked(400, f"the request names another host than {wanted} in its Host header")
