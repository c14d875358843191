"""`gatewright tasks list` and `tasks show`: read the journals, change nothing."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from typing import Any, Final

import msgspec

from bot.audit.blobs import Blobs
from bot.model.approval import SHOWN
from bot.model.errors import GatewrightError
from bot.model.event import ForgeKind
from bot.model.state import Gate, State
from bot.model.task import Task
from bot.reports import figures
from bot.reports.problems import problem
from bot.reports.stages import spent
from bot.reports.views import Caps
from bot.settings_file import load
from bot.tasks.brakes import Brake
from bot.tasks.budget import caps, worked_ms
from bot.tasks.deposit import Ended
from bot.tasks.teams import budget_for
from bot.terminal.brakes import brake_line
from bot.terminal.run import ways
from bot.terminal.screen import safe
from bot.terminal.stores import Store, ask

MARKS: Final = {State.BLOCKED: "■", State.DONE: "✓", State.REJECTED: "✗", State.CANCELLED: "✗", State.EXPIRED: "✗"}
REPOSITORY: Final = 24  # columns of its name, which is cut from the left


def show_all(config: Path | None, *, as_json: bool) -> int:
    """List every task that is known here, of the server and of `run`, newest change first."""
    asked = ask(config, _every)
    found = sorted((task for each in asked for task in each.answer[0]), key=lambda task: -task.changed_ms)
    brakes = [brake for each in asked for brake in each.answer[1]]
    if as_json:
        document = {"tasks": msgspec.to_builtins(found), "brakes": msgspec.to_builtins(brakes)}
        _write({"schema": "gatewright/tasks/v1", **document})
        return 0
    for brake in brakes:
        sys.stdout.write(f"  {brake_line(brake)}\n")
    sys.stdout.write(f"\n  {'TASK':<14}{'REPOSITORY':<26}{'STATE':<16}{'NOW':<9}{'AGE':>5}{'USD':>8}\n")
    for task in found:
        mark = MARKS.get(task.state, "◆" if task.state.gate else "●")
        state = f"{mark} {task.state.value.replace('_', ' ')}"
        name = safe(task.origin.repo.path)[-REPOSITORY:]
        sys.stdout.write(
            f"  {task.origin.task:<14}{name:<26}{state:<16}{_now(task):<9}{_age(task):>5}{_usd(task):>8}\n"
        )
    sys.stdout.write(f"\n{_sums(found)}\n")
    return 0


def _left(task_id: str, config: Path | None) -> GatewrightError:
    """Say where the evidence of a task lies whose journal has left Redis; or that nobody knows of such a task."""

    async def told(store: Store) -> Ended | None:
        return await store.ended(task_id)

    gone = next((each.answer for each in ask(config, told) if each.answer), None)
    if gone is None:
        return GatewrightError("GW-TASK-UNKNOWN", f"there is no task {task_id}", fix="see `gatewright tasks list`")
    return GatewrightError(
        "GW-TASK-LEFT",
        f"{task_id} of {gone.path} has ended ({gone.state}), and its journal is in git alone",
        why=f"it was read back from {gone.ref} at {gone.commit[:12]}, and left Redis seven days later",
        fix=f"git fetch origin '{gone.ref}:{gone.ref}', then `gatewright audit show --rev {gone.ref}`",
    )


def show_one(task_id: str, config: Path | None, *, as_json: bool) -> int:
    """Show one task, and what it waits for; raises GatewrightError where there is none of that id."""

    async def one(store: Store) -> tuple[Task | None, tuple[Brake, ...]]:
        task = await store.task(task_id)
        return task, await store.brakes.of(task.origin.repo, task_id) if task else ()

    found = [(each.answer[0], each.answer[1], each.blobs) for each in ask(config, one) if each.answer[0]]
    if not found:
        raise _left(task_id, config)
    task, brakes, blobs = found[0]
    assert task is not None  # noqa: S101
    if as_json:
        _write({"schema": "gatewright/task/v1", "task": msgspec.to_builtins(task)})
        return 0
    limits = caps(budget_for(load(config), task.origin.repo))
    for name, value in (*_facts(task, brakes), *_used(task, limits)):
        sys.stdout.write(f"  {name:<12}{safe(value)}\n")
    for line in _next(task, blobs):
        sys.stdout.write(safe(line) + "\n")
    return 0


def _facts(task: Task, brakes: tuple[Brake, ...]) -> Iterator[tuple[str, str]]:
    asked = task.asked(task.state.gate) if task.state.gate else None
    yield "task", task.origin.task
    yield "repository", f"{task.origin.repo.path}, issue {task.origin.issue}"
    yield "state", task.state.value + (f" ({task.blocked_code})" if task.blocked_code else "")
    if task.is_held or brakes:
        yield "paused", "nothing new is started"
    for brake in brakes:
        yield "held by", brake_line(brake).removeprefix("PAUSED  ")
    yield "base", f"{task.origin.base_commit[:SHOWN]} on {task.origin.base_branch}"
    yield "branch", task.branch or "-"
    yield "attempts", ", ".join(f"{a.step.value} {a.outcome or 'running'}" for a in task.attempts) or "-"
    yield "approved", ", ".join(f"{a.gate.value} {a.digest[:SHOWN]}" for a in task.approvals) or "-"
    yield "records", str(task.size)
    yield "waits for", f"approval of the {task.state.gate}, {asked.digest[:SHOWN]}" if asked else "nobody"


def _used(task: Task, limits: Caps) -> Iterator[tuple[str, str]]:
    """Show what the task used beside its limits, and each phase's part of it."""
    now_ms = int(time.time() * 1000)
    worked = figures.duration(worked_ms(task, now_ms))
    of = f" of {limits.minutes} min" if limits.minutes else ""
    yield "used", unescape(f"{figures.spending(task.usage, limits)}, {worked}{of}")
    for phase in spent(task, now_ms):
        used = f"{figures.tokens(phase.usage.tokens)} tokens, {figures.price(phase.usage)}"
        yield f"  {phase.name}", unescape(f"{used}, {figures.duration(phase.ms)}")


def _next(task: Task, blobs: Blobs) -> Iterator[str]:
    """Show what waits, and how to answer."""
    if task.state is State.BLOCKED:
        why = problem(task.blocked_code, _text(blobs, task.blocked_blob))
        yield f"\n{why.what}"
        yield from filter(None, (why.why and f"  why: {why.why}", why.log and f"\n{why.log[-2000:]}\n"))
        if _is_local(task):
            yield "  fix: " + ways(task, why).replace("\n", "\n       ")
    gate = task.state.gate
    asked = task.asked(gate) if gate else None
    if gate is None or asked is None:
        return
    artifact = task.artifact(gate)
    if artifact is not None:
        yield "\n" + _text(blobs, artifact.commitment)
    if gate is Gate.CHANGE:
        yield f"\nLook: git -C {task.origin.repo.path} log -p {task.origin.base_branch}..{task.branch}"
    if _is_local(task):
        yield f"To approve: gatewright tasks approve {task.origin.task} {asked.digest[:SHOWN]}"
    else:
        yield "Answer in the issue, or in the pull or merge request: commands are read there."


def _text(blobs: Blobs, commitment: str) -> str:
    """Read what may lie on another machine."""
    try:
        return blobs.get(commitment).decode("utf-8", "replace") if commitment else ""
    except (GatewrightError, OSError):
        return f"(its text is kept elsewhere: {commitment[:SHOWN]})"


def _is_local(task: Task) -> bool:
    return task.origin.repo.forge is ForgeKind.LOCAL


def _now(task: Task) -> str:
    if task.state.gate:
        return "waits"
    return "paused" if task.is_held else "runs" if task.running else "-"


def _sums(found: list[Task]) -> str:
    if not found:
        return 'No tasks yet. gatewright run --repo . "what to do"'
    is_open = [task for task in found if not task.state.is_final]
    waits = sum(1 for task in is_open if task.state.gate)
    blocked = [task for task in is_open if task.state is State.BLOCKED]
    hint = (
        f"\ngatewright tasks show {blocked[0].origin.task}   says what to do about the blocked one." if blocked else ""
    )
    return f"{len(is_open)} open, {waits} wait for people, {len(blocked)} blocked.{hint}"


def _usd(task: Task) -> str:
    return "-" if task.usage.micro_usd is None else f"{task.usage.micro_usd / 1e6:.2f}"


def _age(task: Task) -> str:
    minutes = int(time.time() - task.opened_ms / 1000) // 60
    if minutes < 100:
        return f"{minutes}m"
    return f"{minutes // 60}h" if minutes < 6_000 else f"{minutes // 1_440}d"


def _write(document: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(document) + "\n")


async def _every(store: Store) -> tuple[list[Task], tuple[Brake, ...]]:
    return await store.tasks(), await store.brakes.all()
