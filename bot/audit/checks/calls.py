"""Did every attempt begin and end once, and every call get its result?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from bot.audit.kinds import WORKER_KINDS, AttemptEnded, AttemptStarted
from bot.audit.sheet import Entry, Sheet

OPENS: Final = {"model.call": "model", "tool.call": "tool"}
CLOSES: Final = {"model.result": "model", "tool.result": "tool"}

Call = tuple[str, int, int]  # family, attempt, number


class Attempts:
    """Which attempts have begun and ended as of a record."""

    def __init__(self) -> None:
        self.started: dict[int, Entry] = {}
        self.ended: dict[int, Entry] = {}

    def take(self, entry: Entry, sheet: Sheet) -> None:
        """Follow one record."""
        data = entry.data
        if isinstance(data, AttemptStarted):
            if data.attempt in self.started:
                sheet.find("attempts", f"attempt {data.attempt} begins twice", entry)
            self.started[data.attempt] = entry
        elif entry.record.kind in WORKER_KINDS:
            number = getattr(data, "attempt", 0)
            if number and number not in self.started:
                sheet.find("attempts", f"reports for attempt {number}, which never began", entry)
            elif number in self.ended:
                sheet.find("attempts", f"reports for attempt {number} after its end", entry)
            if isinstance(data, AttemptEnded):
                self.ended[data.attempt] = entry


def check(entries: Sequence[Entry], sheet: Sheet) -> None:
    """Pair calls with results and hold reports to the life of their attempt."""
    attempts = Attempts()
    waiting: dict[Call, Entry] = {}
    done: set[Call] = set()
    for entry in entries:
        attempts.take(entry, sheet)
        data: Any = entry.data
        kind = entry.record.kind
        if kind in OPENS:
            _open((OPENS[kind], data.attempt, data.call), entry, waiting, done, sheet)
        elif kind in CLOSES:
            call = (CLOSES[kind], data.attempt, data.call)
            if waiting.pop(call, None) is None:
                sheet.find("calls", f"a result for {_name(call)}, which was not made or had one", entry)
            done.add(call)
    _unanswered(waiting, attempts, sheet)
    if not sheet.failed("attempts") and attempts.started:
        running = len(attempts.started) - len(attempts.ended)
        sheet.hold("attempts", f"{len(attempts.started)} begun, {len(attempts.ended)} ended, {running} running")
    if not sheet.failed("calls") and done:
        models = sum(call[0] == "model" for call in done)
        sheet.hold("calls", f"{models} of models and {len(done) - models} of tools, each with its result")


def _open(call: Call, entry: Entry, waiting: dict[Call, Entry], done: set[Call], sheet: Sheet) -> None:
    if call in waiting or call in done:
        sheet.find("calls", f"{_name(call)} is made twice", entry)
    waiting[call] = entry


def _unanswered(waiting: dict[Call, Entry], attempts: Attempts, sheet: Sheet) -> None:
    """Find calls without a result: control answers for a worker that was lost, before it ends its attempt."""
    for call, entry in waiting.items():
        if call[1] in attempts.ended:  # else it is still at work
            how = attempts.ended[call[1]].record.outcome
            sheet.find("calls", f"{_name(call)} has no result, and its attempt ended '{how}'", entry)


def _name(call: Call) -> str:
    family, attempt, number = call
    return f"{family} call {number} of attempt {attempt}"
