"""Whether a person is to be asked at a gate, why nothing goes on, and what scope findings say; pure."""

from __future__ import annotations

import time
from typing import Final

import msgspec

from bot.model.state import Gate, State
from bot.model.task import Task
from bot.policy.windows import frozen_until

SHOWN_GATE: Final = {Gate.SPEC: "gate.spec", Gate.PLAN: "gate.plan", Gate.SCOPE: "gate.scope"}
FROZEN: Final = (State.CODING, State.FIXING, State.PUBLISHING)
MOST_LINES: Final = 200


class Finding(msgspec.Struct, frozen=True):
    """One thing in a change that its plan did not say or that policy protects."""

    rule: str
    path: str
    detail: str = ""


def is_asked(task: Task, gate: Gate) -> bool:
    """Tell whether an answer is wanted now: what is asked is there to be seen, and no answer is being ruled on."""
    asked = task.asked(gate)
    if asked is None or gate in task.reask or task.let_pass(gate) is not None:
        return False
    if gate is Gate.CHANGE and task.pull is None:
        return False
    if gate in SHOWN_GATE and f"{SHOWN_GATE[gate]}:{asked.rev}" not in task.posted:
        return False
    votes = task.votes(gate)
    ruled = task.ruled.get(gate.value)
    is_ruled = ruled is not None and ruled.digest == asked.digest and ruled.events == tuple(v.event_id for v in votes)
    return not votes or is_ruled


def held(task: Task, now_ms: int) -> str:
    """Say why nothing new is started; empty where nothing holds the task, or while an attempt ends its step."""
    if task.running or task.state.gate or task.state.is_final or task.state is State.BLOCKED:
        return ""
    if task.is_held:
        by = [*(["a comment"] if task.paused else []), *(f"the {brake}" for brake in task.brakes)]
        return f"it is paused, by {' and '.join(by)}"
    until = frozen_until(task.policy.freeze, now_ms) if task.state in FROZEN else None
    if until is None:
        return ""
    return f"policy freezes code until {time.strftime('%Y-%m-%d %H:%M UTC', time.gmtime(until / 1000))}"


def findings(blob: str) -> tuple[Finding, ...]:
    """Read the list of scope findings that a worker reported; raises msgspec.MsgspecError where it is none."""
    return msgspec.json.decode(blob.encode(), type=tuple[Finding, ...])


def as_text(found: tuple[Finding, ...]) -> str:
    """Write findings as Markdown: what a file holds is code to a reader, never markup."""
    lines = ["- " + " ".join(filter(None, map(_code, (each.rule, each.path, each.detail)))) for each in found]
    more = f"\n\nand {len(found) - MOST_LINES} more" if len(found) > MOST_LINES else ""
    return "# Beyond the plan\n\n" + "\n".join(lines[:MOST_LINES]) + more + "\n"


def counted(found: tuple[Finding, ...]) -> str:
    """Count findings by their rule."""
    rules = dict.fromkeys(each.rule for each in found)
    return ", ".join(f"{sum(each.rule == rule for each in found)} {rule}" for rule in rules)


def _code(text: str) -> str:
    """Set words as code, without what could end it."""
    plain = " ".join(text.replace("`", "'").split())
    return f"`{plain}`" if plain else ""
