"""A journal as people read it: when, who, what, one line a record."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

import msgspec

from bot.audit.record import Record
from bot.audit.report import plain, when

WIDTH: Final = 80
SHORT: Final = 12  # hex digits of a digest that are shown
# Per kind, what to show of its data; the rest is in the record.
SHOWN: Final[dict[str, tuple[str, ...]]] = {
    "task.opened": ("path", "issue", "base_commit"),
    "issue.snapshot": ("number",),
    "spec.set": ("rev", "spec_sha256", "source"),
    "plan.set": ("rev", "plan_sha256", "source"),
    "issue.changed": ("issue_sha256",),
    "base.moved": ("base_commit",),
    "shown.edited": ("what", "rev"),
    "policy.changed": ("policy_sha256", "file_commit", "file_by"),
    "approval.requested": ("what", "rev", "digest"),
    "approval": ("what", "rev", "digest", "permission"),
    "approval.withdrawn": ("what", "reason"),
    "emergency": ("what", "digest"),
    "emergency.reviewed": ("what", "digest"),
    "alarm": ("code", "commit"),
    "command": ("verb", "accepted", "code"),
    "attempt.started": ("attempt", "step", "model", "round"),
    "attempt.ended": ("attempt", "step", "redacted", "code", "tokens_in", "tokens_out"),
    "model.call": ("attempt", "call", "model"),
    "model.result": ("attempt", "call", "stop", "tokens_out"),
    "tool.call": ("attempt", "call", "tool", "decision"),
    "tool.result": ("attempt", "call", "exit"),
    "commit.made": ("attempt", "step", "commit"),
    "test.run": ("suite", "exit", "commit"),
    "qa.verdict": ("round", "verdict", "met", "criteria", "commit"),
    "scope.found": ("count", "scope_sha256", "commit"),
    "work.held": ("commit",),
    "commit.foreign": ("commit", "pusher", "is_same_tree"),
    "pushed": ("ref", "commit", "size"),
    "forge.done": ("purpose", "rev", "object_id"),
    "pull": ("number", "state", "head"),
    "task.blocked": ("code",),
    "task.closed": ("state", "reason"),
}
LOUD: Final = ("emergency", "alarm", "commit.foreign")  # shown so that nobody reads over them
BOLD: Final = "\x1b[1m"
NORMAL: Final = "\x1b[0m"
_HEX: Final = frozenset("0123456789abcdef")


class Event(msgspec.Struct, frozen=True):
    """One record for people: `mark` is what was not ok or needs to be seen; `is_vote` where something was let pass."""

    seq: int
    day: str
    time: str
    who: str
    kind: str
    mark: str
    said: str
    is_loud: bool
    is_vote: bool


def events(records: Iterable[Record]) -> Iterator[Event]:
    """Read records as people do; all texts are foreign and still to be made harmless."""
    for record in records:
        stamp = when(record.ts)
        is_loud = record.kind in LOUD or _is_emergency(record)
        marks = [*([] if record.outcome == "ok" else [f"{record.outcome}!"]), *(["!!"] if is_loud else [])]
        is_vote = record.kind == "approval" or (record.kind == "ruling" and bool(record.data["ruling"]["passed"]))
        yield Event(
            record.seq, stamp[:10], stamp[11:19], record.actor.id, record.kind, " ".join(marks), _data(record), is_loud,
            is_vote and record.outcome == "ok",
        )  # fmt: skip


def timeline(records: Iterable[Record], *, bold: bool = False) -> Iterator[str]:
    """Show records in order, at most 80 columns each; a day is named once, what somebody let pass may stand out."""
    day = ""
    for event in events(records):
        if event.day != day:
            day = event.day
            yield day
        head = " ".join(filter(None, (event.time, event.who, event.kind, event.mark)))
        line = plain(f"{event.seq:>5} {head} {event.said}")[:WIDTH].rstrip()
        yield f"{BOLD}{line}{NORMAL}" if bold and event.is_vote else line


def _is_emergency(record: Record) -> bool:
    return record.kind == "ruling" and bool(record.data["ruling"]["is_emergency"])


def _data(record: Record) -> str:
    if record.kind == "ruling":
        return _ruling(record.data["case"], record.data["ruling"])
    names = SHOWN.get(record.kind, tuple(name for name in record.data if name != "attempt"))
    return " ".join(f"{name}={_value(record.data[name])}" for name in names if name in record.data)


def _ruling(case: dict[str, Any], ruling: dict[str, Any]) -> str:
    """Name gate and moment, whether it passes, whose yes counted, and which rules were not met."""
    counted = [str(one["person"]) for one in ruling["tallies"] if not one.get("code")]
    counted += [f"{person}!!" for person in case.get("breakers", ()) if ruling["is_emergency"]]
    unmet = [one["rule"] for one in ruling["outcomes"] if not one["ok"]]
    said = f"what={case['gate']} {case['moment']} passed={_value(ruling['passed'])} by={','.join(counted) or 'nobody'}"
    return f"{said} unmet={','.join(unmet)}" if unmet else said


def _value(value: Any) -> str:
    if isinstance(value, str) and len(value) >= 40 and set(value) <= _HEX:
        return value[:SHORT]
    return ("no", "yes")[value] if isinstance(value, bool) else str(value)
