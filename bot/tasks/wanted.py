"""What the forge does not show yet of a task: comments, reactions, replies, the change, its status; pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import msgspec

from bot.model.state import Gate, State, Step
from bot.model.task import Heard, Task
from bot.tasks.need import Purpose, Write
from bot.tasks.shown import is_given_up, status_commit

MOST_COMMANDS: Final = 16  # commands of one comment that are heard
GATES: Final = {
    Gate.SPEC: (Purpose.SPEC_GATE, Purpose.SPEC_AGAIN, Purpose.SPEC_FOLD),
    Gate.PLAN: (Purpose.PLAN_GATE, Purpose.PLAN_AGAIN, Purpose.PLAN_FOLD),
    Gate.SCOPE: (Purpose.SCOPE_GATE, Purpose.SCOPE_AGAIN, Purpose.SCOPE_FOLD),
}


def writes(task: Task) -> Iterator[Write]:
    """List the writes that have not been done."""
    for write in _wanted(task):
        if write.key not in task.posted:
            yield write


def _wanted(task: Task) -> Iterator[Write]:
    yield from _change_writes(task)
    for gate in GATES:
        yield from _gate_writes(task, gate)
    for number, _ in enumerate(task.voids, 1):
        yield Write(Purpose.VOIDED, number)
    for number, _ in enumerate(task.emergencies, 1):
        yield Write(Purpose.EMERGENCY, number)
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
    if task.pull and (task.state is State.CHANGE_REVIEW or (status_commit(task) and task.state is not State.DONE)):
        yield Write(Purpose.STATUS, task.status_rev + is_given_up(task))
    for number, _ in enumerate(task.ci_released, 1):
        yield Write(Purpose.CI, number)
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
