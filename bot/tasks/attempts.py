"""The part of the fold that workers move: attempts, and what they report."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from msgspec.structs import replace

from bot.audit import kinds
from bot.audit.account import counted, settled
from bot.audit.record import Record
from bot.model.state import State, Step
from bot.model.task import Attempt, Task, Verdict
from bot.tasks.machine import Signal
from bot.tasks.moves import block, move, ref

LOST: Final = "GW-ATTEMPT-LOST"
LOST_LIMIT: Final = 3  # workers may vanish this often in a row before a person has to look
JUDGED: Final = (Step.CODING, Step.QA_FIXER, Step.QA)  # whose work waits where it goes beyond its plan
ENDED: Final = {
    Step.SPEC: Signal.DRAFTED,
    Step.PLANNING: Signal.DRAFTED,
    Step.CODING: Signal.CODED,
    Step.QA_FIXER: Signal.FIXED,
}


def _started(task: Task, record: Record, data: kinds.AttemptStarted) -> Task:
    attempt = Attempt(data.attempt, Step(data.step), data.model, record.ts, data.round)
    task = replace(task, attempts=(*task.attempts, attempt))
    return move(task, Signal.STARTED) if task.state is State.RECEIVED else task


def _noted(task: Task, attempt: Attempt) -> Task:
    return replace(task, attempts=tuple(attempt if a.number == attempt.number else a for a in task.attempts))


def _used(task: Task, _: Record, data: kinds.ModelCall | kinds.ModelResult) -> Task:
    """Count as it happens: a worker that is killed reports no end."""
    running = task.running
    if running is None or running.number != data.attempt:
        return task
    return _noted(task, replace(running, usage=counted(running.usage, data)))


def heard(task: Task, record: Record) -> Task:
    """Note the first thing that a running attempt's worker reports."""
    running = task.running
    if running is None or running.heard_ms or record.actor.type != "agent" or record.kind == "attempt.ended":
        return task
    return _noted(task, replace(running, heard_ms=record.ts))


def _ended(task: Task, record: Record, data: kinds.AttemptEnded) -> Task:
    for attempt in task.attempts:
        if attempt.number == data.attempt and not attempt.outcome:
            ended = replace(
                attempt, ended_ms=record.ts, outcome=record.outcome, code=data.code,
                usage=settled(attempt.usage, data), dur_ms=data.dur_ms,
            )  # fmt: skip
            task = _noted(task, ended)
    if data.commit and data.step != Step.PUBLISH:
        task = replace(task, head=data.commit, bound_head=data.commit, source_sha256=data.source_sha256)
    if task.state.is_final or task.state is State.BLOCKED:
        return task
    return _succeeded(task, data) if record.outcome == "ok" else _failed(task, record, data)


def _succeeded(task: Task, data: kinds.AttemptEnded) -> Task:
    step = Step(data.step)
    task = replace(task, lost=0)
    if step is Step.ARCHIVE:
        return task
    if step in JUDGED and not task.is_scope_decided:
        clear = {"feedback": ()} if step is Step.QA_FIXER else {}
        return move(task, Signal.SCOPE_FOUND, **clear)
    if step is Step.QA:
        passed = task.verdict is not None and task.verdict.passed and task.verdict.commit == data.commit
        return move(task, Signal.PASSED if passed else Signal.FAILED, rounds=task.rounds + 1)
    if step is Step.PUBLISH:
        head = data.commit or task.head
        task = replace(task, head=head, bound_head=head, status_rev=task.status_rev + 1)
        if task.verdict is not None and task.verdict.passed:
            return move(task, Signal.PUBLISHED)
        return move(
            task, Signal.DRAFT_PUBLISHED, blocked_from=State.PUBLISHING, blocked_code="GW-QA-ROUNDS",
            blocks=task.blocks + 1,
        )  # fmt: skip
    clear = {"feedback": ()} if step is Step.QA_FIXER else {}
    return move(task, ENDED[step], **clear)


def _failed(task: Task, record: Record, data: kinds.AttemptEnded) -> Task:
    if data.step == Step.ARCHIVE:
        return task
    if data.code == LOST and task.lost + 1 < LOST_LIMIT:
        return replace(task, lost=task.lost + 1)
    return block(task, data.code or "GW-ATTEMPT", ref(record, "explanation"))


def _commit_made(task: Task, _: Record, data: kinds.CommitMade) -> Task:
    steps = (*task.steps, (data.step, data.commit)) if data.step else task.steps
    return replace(task, head=data.commit, bound_head=data.commit, source_sha256=data.source_sha256, steps=steps)


def _verdict(task: Task, record: Record, data: kinds.QaVerdict) -> Task:
    verdict = Verdict(
        data.round, data.commit, data.source_sha256, data.verdict == "passed", data.criteria, data.met,
        ref(record, "report"),
    )  # fmt: skip
    return replace(task, verdict=verdict)


def _progress(task: Task, _: Record, data: kinds.Progress) -> Task:
    return replace(task, steps_done=data.done, steps_total=data.total)


def _pushed(task: Task, _: Record, data: kinds.Pushed) -> Task:
    if data.ref.startswith("refs/heads/") and "-audit/" not in data.ref:
        return replace(task, branch=data.ref.removeprefix("refs/heads/"), held="")
    return replace(task, archived=max(task.archived, data.size))


def _gate(task: Task, _: Record, data: kinds.GateResult) -> Task:
    if data.rule == "qa_rounds" and data.result == "exhausted":
        return move(task, Signal.EXHAUSTED)
    return replace(task, is_unconfined=True) if data.rule == "sandbox" and data.result == "none" else task


ATTEMPTS: Final[Mapping[str, Callable[[Task, Record, Any], Task]]] = {
    "attempt.started": _started,
    "attempt.ended": _ended,
    "model.call": _used,
    "model.result": _used,
    "commit.made": _commit_made,
    "qa.verdict": _verdict,
    "progress": _progress,
    "pushed": _pushed,
    "gate": _gate,
}
