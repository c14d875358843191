"""The part of the fold in which gates open and close: votes, rulings, and what makes approvals fall."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from msgspec.structs import replace

from bot.audit import kinds
from bot.audit.record import Record
from bot.model.errors import Refused
from bot.model.gates import Approval, Emergency, Glass, Passed, Request, Ruled
from bot.model.ruling import Case, Ruling
from bot.model.state import Gate, State
from bot.model.task import Task
from bot.policy.rules import review_due
from bot.tasks.machine import Signal
from bot.tasks.moves import actor_of, closed, move, void

SENT_BACK: Final = {
    Gate.SPEC: (Signal.SPEC_VOIDED, (Gate.SPEC, Gate.PLAN)),
    Gate.PLAN: (Signal.PLAN_VOIDED, (Gate.PLAN,)),
}


def _requested(task: Task, record: Record, data: kinds.ApprovalRequested) -> Task:
    """Show something: what was approved before and reads otherwise now falls."""
    gate = Gate(data.what)
    request = Request(gate, data.rev, data.digest, record.ts)
    stale = tuple(vote for vote in task.votes(gate) if vote.digest != data.digest)
    let_pass = task.let_pass(gate)
    if stale or (let_pass is not None and let_pass.digest != data.digest):
        task = void(task, gate, task.cause or "new_draft")
    reask = tuple(one for one in task.reask if one is not gate)
    return replace(task, requested=(*task.requested, request), reask=reask, cause="")


def _approval(task: Task, record: Record, data: kinds.Approval) -> Task:
    gate = _present(task, Gate(data.what))
    vote = Approval(
        gate, data.rev, data.digest, actor_of(record), data.permission, data.forge_ts, data.event_id, data.method,
        data.comment_sha256,
    )  # fmt: skip
    return replace(task, approvals=(*task.approvals, vote))


def _withdrawn(task: Task, _: Record, data: kinds.ApprovalWithdrawn) -> Task:
    """Take one vote away, or all at a gate; a gate that rested on it is ruled on again."""
    gate = Gate(data.what)
    if not data.event_id:
        return void(task, gate, data.reason)
    kept = tuple(a for a in task.approvals if a.gate is not gate or a.event_id != data.event_id)
    return replace(task, approvals=kept)


def _ruling(task: Task, record: Record, data: kinds.RulingMade) -> Task:
    case, ruling = data.case, data.ruling
    missing = tuple(one.rule for one in ruling.outcomes if not one.ok)
    votes = tuple(vote.event_id for vote in case.votes)
    ruled = Ruled(case.digest, votes, record.ts, ruling.passed, missing, len(case.breakers))
    task = replace(task, ruled={**task.ruled, case.gate.value: ruled})
    if ruling.passed and ruling.is_emergency:
        task = _broken(task, record, case)
    if case.moment == "execution":
        return task if ruling.passed else _sent_back(task, case)
    return _let_pass(task, record, case, ruling) if ruling.passed else _held_back(task, case.gate)


def _held_back(task: Task, gate: Gate) -> Task:
    return closed(task, gate) if task.let_pass(gate) else task


def _sent_back(task: Task, case: Case) -> Task:
    """Undo what an approval had opened, because it does not hold any more when it is to be carried out."""
    gate = case.gate
    reason = task.cause or ("role_lost" if case.asked == case.digest else "new_draft")
    if gate not in SENT_BACK:
        return replace(void(task, gate, reason), reask=(*task.reask, gate))
    signal, gates = SENT_BACK[gate]
    for each in gates:
        task = void(task, each, reason)
    return move(task, signal, reask=(*task.reask, *gates))


def _let_pass(task: Task, record: Record, case: Case, ruling: Ruling) -> Task:
    gate = _present(task, case.gate)
    people = tuple(tally.person for tally in ruling.tallies if not tally.code)
    people += tuple(person for person in case.breakers if ruling.is_emergency and person not in people)
    before = task.let_pass(gate)
    passed = Passed(gate, case.digest, record.ts, people, ruling.is_emergency, record.seq)
    others = tuple(p for p in task.passed if p.gate is not gate)
    task = replace(task, passed=(*others, passed), counted={**task.counted, gate.value: people})
    if gate is Gate.CHANGE and before is None:
        task = replace(task, status_rev=task.status_rev + 1)
    if gate is Gate.SCOPE and task.scope is not None:
        task = replace(task, scope_approved=(*task.scope_approved, task.scope.sha256))
    is_again = gate is Gate.SPEC and task.plan is not None and not task.feedback  # else a new plan was asked for
    return move(task, Signal.REAPPROVED if is_again else Signal.APPROVED)


def _present(task: Task, gate: Gate) -> Gate:
    """Hold what is said about a gate to the state in which it can be said."""
    if task.state.gate is not gate:
        raise Refused("GW-STATE", f"the {gate.value} does not wait for a decision in state {task.state.value}")
    return gate


def _emergency(task: Task, record: Record, data: kinds.Emergency) -> Task:
    """Take down who breaks the glass; who does so for what had passed already did not review it before."""
    broken = Emergency(Gate(data.what), data.digest, actor_of(record).id, data.review_due_ts)
    glass = tuple(_joined(one, broken) for one in task.glass)
    return replace(task, emergencies=(*task.emergencies, broken), glass=glass)


def _joined(one: Glass, broken: Emergency) -> Glass:
    if (one.gate, one.digest) != (broken.gate, broken.digest):
        return one
    reviewer = 0 if one.reviewer == broken.person else one.reviewer
    return replace(one, breakers=tuple(dict.fromkeys((*one.breakers, broken.person))), reviewer=reviewer)


def _broken(task: Task, record: Record, case: Case) -> Task:
    """Keep in mind what was let pass so: it has to be reviewed, whatever falls later."""
    if any((one.gate, one.digest) == (case.gate, case.digest) for one in task.glass):
        return task
    said = [each for each in task.emergencies if (each.gate, each.digest) == (case.gate, case.digest)]
    due = review_due((each.person, each.review_due_ms) for each in said)
    return replace(task, glass=(*task.glass, Glass(case.gate, case.digest, case.breakers, record.ts, due)))


def _reviewed(task: Task, record: Record, data: kinds.EmergencyReviewed) -> Task:
    who = actor_of(record).id
    meant = [one for one in task.unreviewed if (one.gate.value, one.digest) == (data.what, data.digest)]
    found = [one for one in meant if who not in one.breakers]
    return replace(task, glass=tuple(replace(one, reviewer=who) if one in found else one for one in task.glass))


def _foreign(task: Task, _: Record, data: kinds.CommitForeign) -> Task:
    """Take a person's commits as the head; the same files under another commit change nothing that was judged."""
    if data.is_same_tree:
        return replace(task, head=data.commit, status_rev=task.status_rev + 1)
    committers = (*task.committers, data.pusher) if data.pusher not in task.committers else task.committers
    task = void(task, Gate.CHANGE, "pushed")
    task = replace(task, head=data.commit, bound_head=data.commit, committers=committers, rounds=0, verdict=None)
    if task.state is State.CHANGE_REVIEW:
        return move(task, Signal.PUSHED)
    return replace(task, blocked_from=State.QA) if task.state is State.BLOCKED else task


RULINGS: Final[Mapping[str, Callable[[Task, Record, Any], Task]]] = {
    "approval.requested": _requested,
    "approval": _approval,
    "approval.withdrawn": _withdrawn,
    "ruling": _ruling,
    "emergency": _emergency,
    "emergency.reviewed": _reviewed,
    "commit.foreign": _foreign,
}
