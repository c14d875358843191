"""What a stream is cut into by its content type: lines, elements of an array, or frames of AWS."""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Callable, Iterator
from typing import Final, Protocol

import msgspec

from runners.gateway.errors import Broken
from runners.gateway.sse import EVENT_MAX, Event, Events

OUTSIDE: Final = re.compile(rb'["\[\]{}]')
QUOTED: Final = re.compile(rb'["\\]')
PRELUDE: Final = struct.Struct(">III")  # length of all, of the headers, checksum of both
# Bytes of a header's value by its type; 6 and 7 (bytes and text) say their length themselves.
SIZES: Final = {0: 0, 1: 0, 2: 1, 3: 2, 4: 4, 5: 8, 8: 8, 9: 16}
TEXT: Final = 7


class Cutter(Protocol):
    """Cuts a byte stream into events, whatever the borders of its pieces."""

    def feed(self, piece: bytes) -> Iterator[Event]:
        """Take the next bytes and give the events they complete; Broken where one exceeds EVENT_MAX."""


def cutter(content_type: str, *, grows: bool) -> Cutter | None:
    """Choose how an answer is cut, where JSON may be an array that grows; None where it does not stream."""
    mime = content_type.partition(";")[0].strip().lower()
    if grows and mime == "application/json":
        return Array()
    make = STREAMS.get(mime)
    return make() if make else None


class Lines:
    """Cut newline-delimited JSON."""

    def __init__(self) -> None:
        self._tail: list[bytes] = []
        self._size = 0

    def feed(self, piece: bytes) -> Iterator[Event]:
        """Take the next bytes and give the lines they complete."""
        *lines, rest = piece.split(b"\n")
        for line in lines:
            whole = b"".join((*self._tail, line)).strip()
            self._tail, self._size = [], 0
            if whole:
                yield Event("", whole)
        self._tail.append(rest)
        self._size += len(rest)
        _bound(self._size)


class Array:
    """Cut a JSON array into its elements while it grows."""

    def __init__(self) -> None:
        self._held = bytearray()
        self._at = 0  # up to where `_held` was looked through
        self._start = 0
        self._depth = 0
        self._quoted = False

    def feed(self, piece: bytes) -> Iterator[Event]:
        """Take the next bytes and give the elements they complete."""
        self._held += piece
        while found := (QUOTED if self._quoted else OUTSIDE).search(self._held, self._at):
            self._at = found.end()
            mark = found[0]
            if mark == b"\\":
                self._at += 1  # what is escaped is skipped, even where it has not come yet
            elif mark == b'"':
                self._quoted = not self._quoted
            elif mark in b"[{":
                self._depth += 1
                self._start = self._at - 1 if self._depth == 2 else self._start
            else:
                self._depth -= 1
                if self._depth == 1:
                    yield Event("", bytes(self._held[self._start : self._at]))
                    del self._held[: self._at]
                    self._at = 0
        self._at = max(self._at, len(self._held))
        _bound(len(self._held))


class Frames:
    """Cut an event stream of AWS (application/vnd.amazon.eventstream); checksums are checked."""

    def __init__(self) -> None:
        self._held = bytearray()

    def feed(self, piece: bytes) -> Iterator[Event]:
        """Take the next bytes and give the frames they complete; Broken for a frame that reports an exception."""
        self._held += piece
        while len(self._held) >= PRELUDE.size:
            size, headers, checksum = PRELUDE.unpack_from(self._held)
            if zlib.crc32(self._held[:8]) != checksum or size < headers + 16:
                raise Broken("a frame of the stream is garbled")
            _bound(size)
            if len(self._held) < size:
                return
            frame = bytes(self._held[:size])
            del self._held[:size]
            if zlib.crc32(frame[:-4]) != int.from_bytes(frame[-4:], "big"):
                raise Broken("a frame of the stream is garbled")
            yield _event(frame[12 : 12 + headers], frame[12 + headers : -4])


def _event(head: bytes, payload: bytes) -> Event:
    try:
        named = dict(_headers(head))
    except (IndexError, KeyError) as problem:
        raise Broken("the headers of a frame are garbled") from problem
    if named.get(":message-type") != "event":
        what = named.get(":exception-type") or named.get(":error-code") or "no type"
        text = payload[:2000].decode("utf-8", "replace")
        said = msgspec.json.encode({"__type": what, "raw": text})
        raise Broken(f"the model's API broke off: {what} {text[:300]}", said)
    return Event(named.get(":event-type", ""), payload)


def _headers(raw: bytes) -> Iterator[tuple[str, str]]:
    at = 0
    while at < len(raw):
        end = at + 1 + raw[at]
        name, kind = raw[at + 1 : end].decode("utf-8", "replace"), raw[end]
        at = end + 1
        if kind in SIZES:
            at += SIZES[kind]
            continue
        if kind not in (6, TEXT):
            raise KeyError(kind)
        size = int.from_bytes(raw[at : at + 2], "big")
        if kind == TEXT:
            yield name, raw[at + 2 : at + 2 + size].decode("utf-8", "replace")
        at += 2 + size


def _bound(size: int) -> None:
    if size > EVENT_MAX:
        raise Broken(f"an event of the stream exceeds {EVENT_MAX} bytes")


STREAMS: Final[dict[str, Callable[[], Cutter]]] = {
    "text/event-stream": Events,
    "application/x-ndjson": Lines,
    "application/vnd.amazon.eventstream": Frames,
}
