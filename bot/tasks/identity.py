"""What makes an issue the one that people read: its title and text, as one digest."""

from __future__ import annotations

import hashlib

DOMAIN = b"gatewright/issue/v1\n"


def issue_digest(title: str, body: str) -> str:
    """Hash title and text under a domain of their own; a change of either is another issue to those who approve."""
    parts = [part.replace("\r\n", "\n").encode("utf-8", "surrogatepass") for part in (title, body)]
    framed = b"".join(len(part).to_bytes(8, "big") + part for part in parts)
    return hashlib.sha256(DOMAIN + framed).hexdigest()
