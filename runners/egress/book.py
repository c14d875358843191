"""What went out of a jail and what was kept in: the first of each place at once, every connection at the end."""

from __future__ import annotations

import time
from typing import Final

import msgspec
import structlog

from runners.egress.rules import Target
from runners.providers.protocol import Recorder

PLACES_MAX: Final = 100  # places that get a record of their own, for each outcome
LINES_MAX: Final = 5_000  # connections that the last record lists
RESULT_MAX: Final = 256  # characters of a record's field

log = structlog.get_logger(__name__)


class Unrecorded(Exception):
    """The recorder failed; its cause says how."""


class Line(msgspec.Struct):
    """One connection, or one that was refused."""

    at_ms: int
    place: str
    outcome: str
    why: str = ""
    address: str = ""
    sent: int = 0
    received: int = 0


class Book:
    """Keeps account; a recorder that fails raises, and nothing goes on unrecorded."""

    def __init__(self, recorder: Recorder, rule: str) -> None:
        self.sent = self.received = self.made = self.blocked = 0
        self._recorder = recorder
        self._rule = rule
        self._lines: list[Line] = []
        self._seen: set[tuple[str, str]] = set()

    def open(self, target: Target, address: str) -> Line:
        """Note a connection before its first byte."""
        self.made += 1
        return self._note(Line(time.time_ns() // 1_000_000, str(target), "ok", address=address))

    def refuse(self, place: str, why: str) -> None:
        """Note what was kept in."""
        self.blocked += 1
        self._note(Line(time.time_ns() // 1_000_000, place, "denied", why=why))

    def moved(self, line: Line, *, sent: int = 0, received: int = 0) -> None:
        """Count bytes."""
        line.sent += sent
        line.received += received
        self.sent += sent
        self.received += received

    def places(self) -> tuple[str, ...]:
        """List the places that were refused, each once, as far as they are noted."""
        return tuple(dict.fromkeys(line.place for line in self._lines if line.outcome != "ok"))[:PLACES_MAX]

    def close(self) -> None:
        """Record the sums, with all connections as a blob."""
        if not self._lines:
            return
        counted = (
            f"{self.made} connections, {self.blocked} refused, {self.sent} bytes sent, {self.received} bytes received"
        )
        content = b"\n".join(msgspec.json.encode(line) for line in self._lines)
        data = {"rule": self._rule, "result": counted}
        self._recorder.record("gate", data, blobs={"connections": content})

    def _note(self, line: Line) -> Line:
        log.info("egress.asked", rule=self._rule, outcome=line.outcome, place=line.place, why=line.why)
        if len(self._lines) < LINES_MAX:
            self._lines.append(line)
        key = (line.place, line.outcome)
        if key not in self._seen and sum(outcome == line.outcome for _, outcome in self._seen) < PLACES_MAX:
            data = {"rule": self._rule, "result": line.place[:RESULT_MAX]}
            blobs = {"why": line.why.encode()} if line.why else None
            try:
                self._recorder.record("gate", data, outcome=line.outcome, blobs=blobs)
            except Exception as problem:
                raise Unrecorded from problem
            self._seen.add(key)
        return line
