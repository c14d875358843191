"""What a task's state still lacks on the queue and on the forge; pure, the heart of converge."""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum
from typing import Final

import msgspec

from bot.model.event import ForgeKind
from bot.model.gates import Passed
from bot.model.ruling import Moment
from bot.model.state import Gate, State, Step
from bot.model.task import Heard, Task
from bot.tasks.binding import binding, revision
from bot.tasks.shown import is_given_up, status_commit

DAY_MS: Final = 86_400_000
MOST_COMMANDS: Final = 16  # commands of one comment that are heard


class Purpose(StrEnum):
    """Why we write to a forge; `purpose:rev` names one write for ever, so that it happens once."""

    PROGRESS = "progress"
    PROGRESS_EDIT = "progress.edit"
    SPEC_GATE = "gate.spec"
    PLAN_GATE = "gate.plan"
    SCOPE_GATE = "gate.scope"
    SPEC_AGAIN = "gate.spec.again"
    PLAN_AGAIN = "gate.plan.again"
    SCOPE_AGAIN = "gate.scope.again"
    SPEC_FOLD = "fold.spec"
    PLAN_FOLD = "fold.plan"
    SCOPE_FOLD = "fold.scope"
    VOIDED = "voided"
    EMERGENCY = "emergency"
    REACT = "react"
    REPLY = "reply"
    REVIEW_REPLY = "reply.review"  # reviews have ids of their own, which comments may have too
    BLOCKED = "blocked"
    CLOSED = "closed"
    PULL = "pull"
    PULL_BODY = "pull.body"
    PULL_CLOSE = "pull.close"
    STATUS = "status"
    MERGE = "merge"
    CI = "ci"


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


class Decide(msgspec.Struct, frozen=True):
    """A gate has votes, or what it rests on has changed: a ruling has to be taken."""

    gate: Gate
    moment: Moment


class Merge(msgspec.Struct, frozen=True):
    """The change gate let the change pass, and policy says in words that the bot merges it."""


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


Need = Start | Watch | Ask | Decide | Merge | Write | Exhaust | Close

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
    Gate.SCOPE: (Purpose.SCOPE_GATE, Purpose.SCOPE_AGAIN, Purpose.SCOPE_FOLD),
}
# The approvals that a step carries out: each is ruled on again when the step begins.
CARRIES_OUT: Final = {Step.PLANNING: (Gate.SPEC,), Step.CODING: (Gate.SPEC, Gate.PLAN)}
RESTS_ON: Final = {  # while a task waits here, these gates have been passed and not been carried out for good
    State.PLAN: (Gate.SPEC,),
    State.PLAN_REVIEW: (Gate.SPEC,),
    State.CODING: (Gate.SPEC, Gate.PLAN),
}
WRITES_CODE: Final = (Step.CODING, Step.QA_FIXER, Step.PUBLISH)


class Rules(msgspec.Struct, frozen=True):
    """What besides the task itself decides what a state needs."""

    qa_rounds: int = 3
    instance: str = ""
    is_frozen: bool = False  # a freeze window is open: no code is written
    is_full: bool = False  # the repository has as many open changes as policy allows
    is_due: bool = False  # a gate that is not settled is to be looked at again


def needs(task: Task, rules: Rules, now_ms: int) -> tuple[Need, ...]:
    """List what is missing, most urgent first; an empty answer means the task is at rest."""
    return (*_work(task, rules, now_ms), *_writes(task))


def _work(task: Task, rules: Rules, now_ms: int) -> Iterator[Need]:
    if task.running:
        yield Watch(task.running.number)
        if not delivers(task):
            return
    if task.state.is_final:
        if task.archived < task.size and not _archive_given_up(task) and not _unwritten(task):
            yield Start(Step.ARCHIVE)
        return
    if task.state is State.FIXING and task.rounds >= rules.qa_rounds:
        yield Exhaust()
        return
    fallen = next((gate for gate in RESTS_ON.get(task.state, ()) if _has_fallen(task, gate, rules)), None)
    gate = task.state.gate
    if fallen is not None:
        yield Decide(fallen, "execution")
    elif gate is not None:
        yield from _at_gate(task, gate, rules, now_ms)
    elif not task.is_held and task.state in STEP_OF and not _waits(task, STEP_OF[task.state], rules):
        yield Start(STEP_OF[task.state])


def delivers(task: Task) -> bool:
    """Tell whether nothing but the delivery of evidence runs at the change gate, which stays open meanwhile."""
    return task.state is State.CHANGE_REVIEW and task.running is not None and task.running.step is Step.ARCHIVE


def _has_fallen(task: Task, gate: Gate, rules: Rules) -> bool:
    """Tell whether what a passed gate binds has changed since."""
    passed = task.let_pass(gate)
    return passed is None or passed.digest != binding(task, gate, rules.instance).digest()


def _waits(task: Task, step: Step, rules: Rules) -> bool:
    """Hold code back; the cap counts before work begins, and once more before it would open one change too many."""
    is_first = step is Step.PUBLISH or not any(a.step is Step.CODING for a in task.attempts)
    is_new = task.pull is None and not task.stale_pulls and is_first
    return step in WRITES_CODE and (rules.is_frozen or (rules.is_full and is_new))


def _at_gate(task: Task, gate: Gate, rules: Rules, now_ms: int) -> Iterator[Need]:
    if gate is Gate.CHANGE and task.pull is None:
        return  # the change is opened first: its head is part of what is asked
    asked = task.asked(gate)
    digest = binding(task, gate, rules.instance).digest()
    if asked is None or asked.digest != digest or gate in task.reask:
        yield Ask(gate, revision(task, gate))
    elif now_ms - asked.at_ms > task.policy.gate_days * DAY_MS:
        yield Close(State.EXPIRED, f"nobody decided at the {gate.value} gate within {task.policy.gate_days} days")
    elif _is_unruled(task, gate, digest, rules):
        yield Decide(gate, "decision")
    elif gate is Gate.CHANGE and (passed := task.let_pass(gate)):
        yield from _end_of(task, passed)


def _is_unruled(task: Task, gate: Gate, digest: str, rules: Rules) -> bool:
    """Tell whether a ruling would see something that the last one has not seen."""
    votes = tuple(vote.event_id for vote in task.votes(gate))
    broken = len(breakers(task, gate, digest))
    ruled = task.ruled.get(gate.value)
    if not votes and not broken:
        return task.let_pass(gate) is not None  # what it rested on is gone
    if ruled is None or ruled.digest != digest:
        return True
    return ruled.events != votes or ruled.breakers != broken or rules.is_due


def breakers(task: Task, gate: Gate, digest: str) -> tuple[int, ...]:
    """Name who broke the glass for exactly this digest."""
    return tuple(dict.fromkeys(e.person for e in task.emergencies if e.gate is gate and e.digest == digest))


def _end_of(task: Task, passed: Passed) -> Iterator[Need]:
    """Deliver the ruling first: who guards the target branch finds it on the audit ref before anything is merged."""
    if task.origin.repo.forge is ForgeKind.LOCAL:
        yield Close(State.DONE, "approved")
    elif task.running:
        return
    elif task.archived <= passed.record and not _archive_given_up(task):
        yield Start(Step.ARCHIVE)
    elif task.policy.merge == "on_approval" and not task.is_held and task.pull and task.pull.state == "open":
        yield Merge()


def _archive_given_up(task: Task) -> bool:
    """Tell whether the last push of the evidence failed: it is not tried for ever, the log reports it."""
    last = task.attempts[-1] if task.attempts else None
    if last is None or last.step is not Step.ARCHIVE:
        return False
    return task.state.is_final or last.outcome != "ok"


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
