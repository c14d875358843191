"""Read off a task how far it has come and what each phase cost; pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from bot.model.state import Gate, State, Step
from bot.model.task import Attempt, Task, Usage
from bot.reports.views import Spent, Stage

_STAGES: Final = (
    ("Spec", (State.RECEIVED, State.SPEC, State.SPEC_REVIEW), (Step.SPEC,), Gate.SPEC),
    ("Plan", (State.PLAN, State.PLAN_REVIEW), (Step.PLANNING,), Gate.PLAN),
    ("Coding", (State.CODING, State.SCOPE_REVIEW), (Step.CODING,), None),
    ("QA", (State.QA, State.FIXING, State.PUBLISHING), (Step.QA, Step.QA_FIXER), None),
    ("Your review", (State.CHANGE_REVIEW,), (), Gate.CHANGE),
)
_PHASES: Final = (
    ("Spec", Step.SPEC),
    ("Plan", Step.PLANNING),
    ("Coding", Step.CODING),
    ("QA", Step.QA),
    ("Fixing", Step.QA_FIXER),
)


def stages(task: Task, now_ms: int) -> tuple[Stage, ...]:
    """List the stages in order, each with its mark, time and cost."""
    here = _position(task)
    return tuple(_stage(task, index, here, now_ms) for index in range(len(_STAGES)))


def spent(task: Task, now_ms: int) -> tuple[Spent, ...]:
    """List what each phase cost, phases that never ran left out."""
    return tuple(_spent(name, runs, now_ms) for name, step in _PHASES if (runs := _runs(task, (step,))))


def elapsed(task: Task, now_ms: int) -> int:
    """Sum the milliseconds in which something ran."""
    return sum(_ms(run, now_ms) for run in task.attempts if run.step.phase)


def drafted_by(task: Task, gate: Gate) -> Attempt | None:
    """Find the attempt that wrote the draft in force; None where a person did."""
    artifact = task.artifact(gate)
    step = Step.SPEC if gate is Gate.SPEC else Step.PLANNING
    if artifact is None or artifact.author != "model":
        return None
    return next((run for run in reversed(task.attempts) if run.step is step and run.outcome), None)


def _stage(task: Task, index: int, here: int, now_ms: int) -> Stage:
    name, _, steps, gate = _STAGES[index]
    runs = list(_runs(task, steps))
    votes = task.votes(gate) if gate else ()
    return Stage(
        name=name,
        mark=_mark(task, index, here),
        ms=sum(_ms(run, now_ms) for run in runs),
        usage=_usage(runs),
        who=", ".join(dict.fromkeys(vote.actor.login for vote in votes)),
        is_current=index == here and not task.state.is_final,
    )


def _mark(task: Task, index: int, here: int) -> str:
    if task.state is State.DONE or index < here:
        return "done"
    if index > here:
        return "waits"
    if task.state.is_final:
        return "stopped"
    if task.state is State.BLOCKED:
        return "blocked"
    if task.is_held:
        return "paused"
    return "asks" if task.state.gate else "running"


def _position(task: Task) -> int:
    """Find the stage a task is in; for one that was stopped, the stage it was stopped in."""
    state = task.blocked_from if task.state is State.BLOCKED else task.state
    for index, (_, states, _, _) in enumerate(_STAGES):
        if state in states:
            return index
    if task.pull:
        return len(_STAGES) - 1
    ran = [index for index, (_, _, steps, _) in enumerate(_STAGES) if any(_runs(task, steps))]
    return max(ran, default=0)


def _runs(task: Task, steps: tuple[Step, ...]) -> list[Attempt]:
    return [run for run in task.attempts if run.step in steps]


def _usage(runs: list[Attempt]) -> Usage:
    return sum((run.usage for run in runs), Usage())


def _ms(run: Attempt, now_ms: int) -> int:
    return run.worked(now_ms)


def _spent(name: str, runs: list[Attempt], now_ms: int) -> Spent:
    return Spent(
        name=name,
        models=tuple(dict.fromkeys(_models(runs))),
        attempts=len(runs),
        ms=sum(_ms(run, now_ms) for run in runs),
        usage=_usage(runs),
    )


def _models(runs: list[Attempt]) -> Iterator[str]:
    for run in runs:
        if run.model:
            yield run.model
