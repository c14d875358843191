"""Calls of a lost attempt that nobody will answer any more; pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from bot.audit import kinds
from bot.audit.chain import Draft
from bot.audit.record import Record, Who

RESULTS = {"model.call": "model.result", "tool.call": "tool.result"}


def unanswered(records: Iterable[Record], attempt: int, who: Who) -> list[Draft]:
    """Draft a result for every call of an attempt that has none, in the order of the calls: it was cancelled."""
    waiting: dict[tuple[str, Any], None] = {}
    for record in records:
        if record.data.get("attempt") != attempt:
            continue
        if record.kind in RESULTS:
            waiting[RESULTS[record.kind], record.data["call"]] = None
        elif record.kind in RESULTS.values():
            waiting.pop((record.kind, record.data["call"]), None)
    return [Draft(kind, _result(kind, attempt, call), who, outcome="cancelled") for kind, call in waiting]


def _result(kind: str, attempt: int, call: int) -> kinds.Data:
    if kind == "model.result":
        return kinds.ModelResult(attempt=attempt, call=call, stop="cancelled")
    return kinds.ToolResult(attempt=attempt, call=call)
