"""A recorder that keeps everything and holds it against the closed schema of its kind."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from bot.audit.kinds import KINDS, WORKER_KINDS


class Record(msgspec.Struct, frozen=True):
    """One report, its data as the kind's type."""

    kind: str
    data: Any
    outcome: str
    blobs: dict[str, bytes]


class ListRecorder:
    """Implements runners.providers.protocol.Recorder."""

    def __init__(self) -> None:
        self.records: list[Record] = []

    def record(
        self, kind: str, data: Mapping[str, Any], *, outcome: str = "ok", blobs: Mapping[str, bytes] | None = None
    ) -> None:
        assert kind in WORKER_KINDS, kind
        assert outcome in {"ok", "fail", "denied", "timeout", "cancelled"}, outcome
        typed = msgspec.convert(dict(data), KINDS[kind], strict=True)
        self.records.append(Record(kind, typed, outcome, dict(blobs or {})))

    def of(self, kind: str) -> list[Record]:
        """Give the reports of one kind, in order."""
        return [record for record in self.records if record.kind == kind]

    def unpaired(self) -> list[str]:
        """Name every call without exactly one later result, every result without a call, every number used twice."""
        wrong: list[str] = []
        opened: dict[tuple[str, int], bool] = {}
        for record in self.records:
            family, _, half = record.kind.partition(".")
            if half not in ("call", "result"):
                continue
            key = (family, record.data.call)
            if half == "call":
                if any(number == record.data.call for _, number in opened):
                    wrong.append(f"number {record.data.call} used twice")
                opened[key] = True
            elif not opened.get(key):
                wrong.append(f"{record.kind} {record.data.call} without a call")
            else:
                opened[key] = False
        return wrong + [
            f"{family}.call {number} without a result" for (family, number), is_open in opened.items() if is_open
        ]
