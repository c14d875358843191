"""What a task's state still lacks on the queue and on the forge; pure, the heart of converge."""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from typing import Final

import msgspec

from bot.model.event import ForgeKind
from bot.model.task import Gate, Heard, State, Step, Task
from bot.tasks.binding import binding

DAY_MS: Final = 86_400_000
MOST_COMMANDS: Final = 16  # commands of one comment that are heard


class Purpose(StrEnum):
    """Why we write to a forge; `purpose:rev` names one write for ever, so that it happens once."""

    PROGRESS = "progress"
    PROGRESS_EDIT = "progress.edit"
    SPEC_GATE = "gate.spec"
    PLAN_GATE = "gate.plan"
    SPEC_AGAIN = "gate.spec.again"
    PLAN_AGAIN = "gate.plan.again"
    SPEC_FOLD = "fold.spec"
    PLAN_FOLD = "fold.plan"
    REACT = "react"
    REPLY = "reply"
    REVIEW_REPLY = "reply.review"  # reviews have ids of their own, which comments may have too
    BLOCKED = "blocked"
    CLOSED = "closed"
    PULL = "pull"
    PULL_BODY = "pull.body"
    PULL_CLOSE = "pull.close"
    STATUS = "status"


class Start(msgspec.Struct, frozen=True):
    """A new attempt has to begin."""

    step: Step


class Watch(msgspec.Struct, frozen=True):
    """An attempt runs: its job has to exist and to be alive."""

    attempt: int


class Ask(msgspec.Struct, frozen=True):
    """A gate has a draft that nobody has been asked about."""

    gate: Gate
    rev: int


class Write(msgspec.Struct, frozen=True):
    """A forge lacks something; `heard` is the command that a reaction or reply answers."""

    purpose: Purpose
    rev: int
    heard: Heard | None = None

    @property
    def key(self) -> str:
        """Name this write."""
        return f"{self.purpose.value}:{self.rev}"


class Exhaust(msgspec.Struct, frozen=True):
    """The allowed QA rounds are used up."""


class Close(msgspec.Struct, frozen=True):
    """The task has come to its end."""

    state: State
    reason: str


Need = Start | Watch | Ask | Write | Exhaust | Close

STEP_OF: Final = {
    State.RECEIVED: Step.SPEC,
    State.SPEC: Step.SPEC,
    State.PLAN: Step.PLANNING,
    State.CODING: Step.CODING,
    State.QA: Step.QA,
    State.FIXING: Step.QA_FIXER,
    State.PUBLISHING: Step.PUBLISH,
}
GATES: Final = {
    Gate.SPEC: (Purpose.SPEC_GATE, Purpose.SPEC_AGAIN, Purpose.SPEC_FOLD),
    Gate.PLAN: (Purpose.PLAN_GATE, Purpose.PLAN_AGAIN, Purpose.PLAN_FOLD),
}


class Rules(msgspec.Struct, frozen=True):
    """The settings that decide what a state needs."""

    qa_rounds: int = 3
    gate_days: int = 14
    instance: str = ""


def needs(task: Task, rules: Rules, now_ms: int) -> tuple[Need, ...]:
    """List what is missing, most urgent first; an empty answer means the task is at rest."""
    return (*_work(task, rules, now_ms), *_writes(task))


def _work(task: Task, rules: Rules, now_ms: int) -> Iterator[Need]:
    if task.running:
        yield Watch(task.running.number)
        return
    if task.state.is_final:
        if task.archived < task.size and not _archive_given_up(task) and not _unwritten(task):
            yield Start(Step.ARCHIVE)
        return
    if task.state is State.FIXING and task.rounds >= rules.qa_rounds:
        yield Exhaust()
        return
    gate = task.state.gate
    if gate is not None:
        yield from _at_gate(task, gate, rules, now_ms)
    elif not task.paused and task.state in STEP_OF:
        yield Start(STEP_OF[task.state])


def _at_gate(task: Task, gate: Gate, rules: Rules, now_ms: int) -> Iterator[Need]:
    if gate is Gate.CHANGE and task.pull is None:
        return  # the change is opened first: its head is part of what is asked
    asked = task.asked(gate)
    artifact = task.artifact(gate)
    rev = artifact.rev if artifact else task.generation
    if asked is None or asked.digest != binding(task, gate, rules.instance).digest():
        yield Ask(gate, rev)
    elif now_ms - asked.at_ms > rules.gate_days * DAY_MS:
        yield Close(State.EXPIRED, f"nobody decided at the {gate.value} gate within {rules.gate_days} days")
    elif gate is Gate.CHANGE and task.origin.repo.forge is ForgeKind.LOCAL and task.approval(gate):
        yield Close(State.DONE, "approved")


def _archive_given_up(task: Task) -> bool:
    """Tell whether the final push failed: `retry` is no verb of an ended task, the sweep reports it."""
    last = task.attempts[-1] if task.attempts else None
    return last is not None and last.step is Step.ARCHIVE


def _unwritten(task: Task) -> bool:
    return any(True for _ in _writes(task))


def _writes(task: Task) -> Iterator[Write]:
    for write in _wanted(task):
        if write.key not in task.posted:
            yield write


def _wanted(task: Task) -> Iterator[Write]:
    yield from _change_writes(task)
    for gate in GATES:
        yield from _gate_writes(task, gate)
    for heard in task.heard:
        yield from _answers(heard)
    if task.state is State.BLOCKED and not (published(task) and task.pull is None):
        yield Write(Purpose.BLOCKED, task.blocks)
    if task.state.is_final:
        yield Write(Purpose.CLOSED, 0)
    yield Write(Purpose.PROGRESS, 0)


def _change_writes(task: Task) -> Iterator[Write]:
    is_due = task.state in (State.CHANGE_REVIEW, State.BLOCKED) and published(task) > 0
    if is_due and task.pull is None:
        yield Write(Purpose.PULL, task.generation)
    if is_due and task.pull and task.pull.head != task.head:
        yield Write(Purpose.PULL_BODY, published(task))
    if task.pull and task.state is State.CHANGE_REVIEW:
        yield Write(Purpose.STATUS, 2 * (published(task) + task.withdrawn) + (1 if task.approval(Gate.CHANGE) else 0))
    for generation, _ in enumerate(task.stale_pulls, 1):
        yield Write(Purpose.PULL_CLOSE, generation)


def _gate_writes(task: Task, gate: Gate) -> Iterator[Write]:
    show, again, fold = GATES[gate]
    revs = [r.rev for r in task.requested if r.gate is gate]
    for rev in sorted({*revs} - {*revs[-1:]}):
        if f"{show.value}:{rev}" in task.posted:
            yield Write(fold, rev)
    if revs and task.state.gate is gate:
        yield Write(show, revs[-1])
        if revs.count(revs[-1]) > 1 and f"{show.value}:{revs[-1]}" in task.posted:
            yield Write(again, len(revs))  # the draft is the same, something else that is bound has changed


def _answers(heard: Heard) -> Iterator[Write]:
    said = source(heard.event_id)
    if not said.id:
        return
    if heard.accepted and not said.is_review:  # a review takes no reaction
        yield Write(Purpose.REACT, said.id, heard)
    if heard.answer:
        purpose = Purpose.REVIEW_REPLY if said.is_review else Purpose.REPLY
        yield Write(purpose, said.id * MOST_COMMANDS + said.index, heard)


class Source(msgspec.Struct, frozen=True):
    """Where a command was said: in which comment or review (0: neither), and in which place of it."""

    id: int
    index: int
    is_review: bool


def source(event_id: str) -> Source:
    """Read `<issue>:<comment>#<n>` or `<change>:r<review>#<n>`."""
    said, _, index = event_id.partition(":")[2].partition("#")
    number = said.removeprefix("r")
    is_known = number.isdigit()
    return Source(int(number) if is_known else 0, int(index) if index.isdigit() else 0, said.startswith("r"))


def published(task: Task) -> int:
    """Count how often the present generation of the work was published."""
    if not task.branch:
        return 0
    return sum(1 for a in task.attempts if a.step is Step.PUBLISH and a.outcome == "ok")
