"""How a fold moves a task: along the machine's transitions only."""

from __future__ import annotations

from typing import Any

from msgspec.structs import replace

from bot.audit.record import Record
from bot.model.event import AccountKind, Actor
from bot.model.gates import Void
from bot.model.state import Gate, State
from bot.model.task import Task
from bot.tasks.machine import Signal, advance


def move(task: Task, signal: Signal, **changes: Any) -> Task:
    """Follow one transition and change fields with it; Refused where the machine knows none."""
    return replace(task, state=advance(task.state, signal), **changes)


def block(task: Task, code: str, blob: str = "") -> Task:
    """Block a task and remember where `retry` leads back to."""
    before = task.blocked_from if task.state is State.BLOCKED else task.state
    return move(task, Signal.BLOCKED, blocked_from=before, blocked_code=code, blocked_blob=blob, blocks=task.blocks + 1)


def without(task: Task, *gates: Gate) -> Task:
    """Drop votes and rulings of gates without a word: a new draft says it already."""
    for gate in gates:
        task = closed(task, gate)
    return replace(task, approvals=tuple(a for a in task.approvals if a.gate not in gates))


def void(task: Task, gate: Gate, reason: str) -> Task:
    """Let what was approved at a gate fall, and keep in mind to say so."""
    if not task.votes(gate) and task.let_pass(gate) is None:
        return task
    return replace(without(task, gate), voids=(*task.voids, Void(gate, reason)))


def closed(task: Task, gate: Gate) -> Task:
    """Take back that a gate was let pass."""
    if task.let_pass(gate) is None:
        return task
    rev = task.status_rev + 1 if gate is Gate.CHANGE else task.status_rev
    return replace(task, passed=tuple(p for p in task.passed if p.gate is not gate), status_rev=rev)


def ref(record: Record, name: str) -> str:
    """Find the commitment that a record refers to under a name; empty where there is none."""
    return next((r.commit for r in record.refs if r.name == name), "")


def actor_of(record: Record) -> Actor:
    """Read the acting account of a record; logins are display names and not in the journal."""
    _, _, number = record.actor.id.rpartition(":")
    kind = AccountKind.HUMAN if record.actor.type == "human" else AccountKind.BOT
    return Actor(int(number) if number.isdigit() else 0, "", kind)
