"""Server-sent events out of a byte stream, whatever the borders of its pieces."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

from runners.gateway.errors import Broken

LINE_END: Final = re.compile(rb"\r\n|\n|\r(?=[^\n])")  # a CR at the very end may be half of a CRLF: wait
EVENT_MAX: Final = 64 << 20  # bytes; some events repeat a whole answer, and what cannot be held cannot be counted


class Event(NamedTuple):
    """One event: its name (empty where none was given) and its data."""

    name: str
    data: bytes


class Events:
    """Cut a stream into events (WHATWG HTML, 9.2.6); an unfinished last event is dropped, as browsers do."""

    def __init__(self) -> None:
        self._tail: list[bytes] = []  # pieces of a line that has not ended
        self._size = 0
        self._name = ""
        self._data: list[bytes] = []

    def feed(self, piece: bytes) -> Iterator[Event]:
        """Take the next bytes and give the events they complete; Broken where one exceeds EVENT_MAX."""
        self._size += len(piece)
        if self._size > EVENT_MAX + len(piece):
            raise Broken(f"an event of the stream exceeds {EVENT_MAX} bytes")
        self._tail.append(piece)
        if b"\n" not in piece and b"\r" not in piece:
            return
        *lines, rest = LINE_END.split(b"".join(self._tail))
        self._tail = [rest]
        for line in lines:
            if line:
                self._field(line)
                continue
            if self._data:
                yield Event(self._name, b"\n".join(self._data))
            self._name, self._data = "", []
            self._size = len(rest)

    def _field(self, line: bytes) -> None:
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if name == b"data":
            self._data.append(value)
        elif name == b"event":
            self._name = value.decode("utf-8", "replace")
