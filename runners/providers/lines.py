"""A stream cut into lines, and the end of a stream, in bounded memory; pure."""

from __future__ import annotations

from collections.abc import Iterator


class Lines:
    """Cuts pieces into lines; `skipped` counts those longer than `limit` bytes, which are never held whole."""

    def __init__(self, limit: int) -> None:
        self.skipped = 0
        self._limit = limit
        self._kept = bytearray()
        self._is_long = False

    def add(self, piece: bytes) -> Iterator[bytes]:
        """Take in a piece and give the lines that it ends, without their ends."""
        *ended, rest = piece.split(b"\n")
        for part in ended:
            self._take(part)
            yield from self.rest()
        self._take(rest)

    def rest(self) -> Iterator[bytes]:
        """Give what has no end yet as a line, if it is one."""
        line, was_long = bytes(self._kept), self._is_long
        self._kept, self._is_long = bytearray(), False
        if line and not was_long:
            yield line

    def _take(self, part: bytes) -> None:
        if self._is_long:
            return
        if len(self._kept) + len(part) > self._limit:
            self._kept, self._is_long = bytearray(), True
            self.skipped += 1
        else:
            self._kept += part


class Tail:
    """Keeps the last `limit` bytes of a stream."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._kept = bytearray()

    def add(self, piece: bytes) -> None:
        """Take in a piece."""
        self._kept += piece
        if len(self._kept) > 2 * self._limit:  # cut seldom: each cut copies
            del self._kept[: -self._limit]

    def text(self) -> str:
        """Give what was kept, decoded with replacement."""
        return bytes(self._kept[-self._limit :]).decode(errors="replace").strip()
