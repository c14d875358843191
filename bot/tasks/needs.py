"""What a task's state still lacks on the queue and on the forge; pure, the heart of converge."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from bot.model.event import ForgeKind
from bot.model.gates import Passed
from bot.model.state import Gate, State, Step
from bot.model.task import Task
from bot.tasks.binding import binding, revision
from bot.tasks.need import Ask, Close, Decide, Exhaust, Merge, Need, Rules, Seal, Start, Watch
from bot.tasks.wanted import writes

DAY_MS: Final = 86_400_000
UNWRITTEN_MS: Final = DAY_MS  # after the last record: what a forge refuses for so long no longer holds up the seal
STEP_OF: Final = {
    State.RECEIVED: Step.SPEC,
    State.SPEC: Step.SPEC,
    State.PLAN: Step.PLANNING,
    State.CODING: Step.CODING,
    State.QA: Step.QA,
    State.FIXING: Step.QA_FIXER,
    State.PUBLISHING: Step.PUBLISH,
}
# The approvals that a step carries out: each is ruled on again when the step begins.
CARRIES_OUT: Final = {Step.PLANNING: (Gate.SPEC,), Step.CODING: (Gate.SPEC, Gate.PLAN)}
RESTS_ON: Final = {  # while a task waits here, these gates have been passed and not been carried out for good
    State.PLAN: (Gate.SPEC,),
    State.PLAN_REVIEW: (Gate.SPEC,),
    State.CODING: (Gate.SPEC, Gate.PLAN),
}
WRITES_CODE: Final = (Step.CODING, Step.QA_FIXER, Step.PUBLISH)


def needs(task: Task, rules: Rules, now_ms: int) -> tuple[Need, ...]:
    """List what is missing, most urgent first; an empty answer means the task is at rest. Nothing follows the seal."""
    if task.is_sealed:
        return ()
    return (*_work(task, rules, now_ms), *writes(task))


def _work(task: Task, rules: Rules, now_ms: int) -> Iterator[Need]:
    if task.running:
        yield Watch(task.running.number)
        if not delivers(task):
            return
    if task.state.is_final:
        if not task.is_closed:
            yield Close(task.state, task.close_reason)
        elif (
            not task.running
            and not is_awaited(task, now_ms)
            and (not _unwritten(task) or now_ms - task.changed_ms > UNWRITTEN_MS)
        ):
            yield Seal()
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


def is_awaited(task: Task, now_ms: int) -> bool:
    """Tell whether the seal waits for the review of an emergency; what nobody reviews in time is sealed without."""
    return any(now_ms <= one.due_ms for one in task.unreviewed)


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
    elif task.archived <= passed.record and not _archive_given_up(task, passed.at_ms):
        yield Start(Step.ARCHIVE)
    elif task.policy.merge == "on_approval" and not task.is_held and task.pull and task.pull.state == "open":
        yield Merge()


def _archive_given_up(task: Task, since_ms: int) -> bool:
    """Tell whether the last push of the evidence since then failed."""
    last = task.attempts[-1] if task.attempts else None
    return last is not None and last.step is Step.ARCHIVE and last.started_ms >= since_ms and last.outcome != "ok"


def _unwritten(task: Task) -> bool:
    return any(True for _ in writes(task))
