"""What Redis answers, as plain values: redis-py types its answers as bytes or text, whichever a client was set to."""

from __future__ import annotations


def text(value: bytes | str | None) -> str:
    """Read an answer as text; a missing one is empty."""
    return value.decode() if isinstance(value, bytes) else value or ""


def raw(value: bytes | str) -> bytes:
    """Read an answer as bytes."""
    return value if isinstance(value, bytes) else value.encode()
