"""What became of an issue or a change on its forge, and what that means for the task.

Deliveries come late, twice and in any order. An event therefore only says where to look: what stands there now decides.
"""

from __future__ import annotations

from bot.audit import kinds
from bot.audit.chain import Draft
from bot.audit.record import Who
from bot.commands.permission import needed
from bot.forges.protocol import Change, Forge
from bot.model.command import Verb
from bot.model.event import AccountKind, Event, EventKind
from bot.model.state import Gate, State
from bot.model.task import Task
from bot.model.verbs import BY_VERB
from bot.tasks.binding import binding
from bot.tasks.desk import Desk


async def happening(desk: Desk, task: Task, event: Event) -> tuple[Draft, ...]:
    """Turn what happened on the forge into records, none where it means nothing to this task (any more)."""
    if task.state.is_final:
        return ()
    forge = desk.forge(event.repo, event.installation or task.origin.installation)
    if event.on_change:
        return await _on_change(desk, forge, task, event)
    if event.kind is EventKind.ISSUE_AWAY:
        return await _away(desk, forge, task, event)
    draft = await _on_issue(desk, forge, task, event)
    return (draft,) if draft else ()


async def _away(desk: Desk, forge: Forge, task: Task, event: Event) -> tuple[Draft, ...]:
    """Block a task whose issue is not where it was; what was approved there falls, unless the issue is only locked."""
    issue = await forge.issue(event.repo, event.number)
    is_hidden = issue is not None and issue.is_confidential and task.policy.confidential_issues == "refuse"
    is_back = issue is not None and not issue.is_locked and not is_hidden
    if is_back or task.state is State.BLOCKED:
        return ()
    fallen = all_fall(desk, task, "place") if issue is None or is_hidden else ()
    return (*fallen, _block(desk, event, "GW-PLACE-VISIBILITY" if is_hidden else "GW-ISSUE-AWAY"))


def all_fall(desk: Desk, task: Task, reason: str) -> tuple[Draft, ...]:
    """Take back whatever is approved, gate by gate."""
    gates = {vote.gate for vote in task.approvals} | {passed.gate for passed in task.passed}
    gone = [kinds.ApprovalWithdrawn(gate.value, _digest_of(task, gate), reason) for gate in sorted(gates)]
    return tuple(Draft("approval.withdrawn", one, desk.service, "forge") for one in gone)


def _digest_of(task: Task, gate: Gate) -> str:
    passed = task.let_pass(gate)
    return passed.digest if passed else task.votes(gate)[-1].digest


async def _on_issue(desk: Desk, forge: Forge, task: Task, event: Event) -> Draft | None:
    trigger = desk.settings.trigger
    label = event.label.lower()
    if event.kind in (EventKind.LABELED, EventKind.UNLABELED) and label == trigger.pause_label.lower():
        return await _brake(desk, forge, task, event)
    if event.kind is EventKind.UNLABELED and label != trigger.label.lower():
        return None
    return await _on_page(desk, forge, task, event, label)


async def _on_page(desk: Desk, forge: Forge, task: Task, event: Event, label: str) -> Draft | None:
    issue = await forge.issue(event.repo, event.number)
    if issue is None:
        return None  # it is away, and an event of its own says so
    if event.kind is EventKind.UNLABELED and label not in (name.lower() for name in issue.labels):
        return _close(desk, event, State.CANCELLED, "the label was removed")
    if event.kind is EventKind.ISSUE_CLOSED and not issue.is_open and not await _is_decided(forge, task):
        return _close(desk, event, State.CANCELLED, "the issue was closed")
    return None


async def _brake(desk: Desk, forge: Forge, task: Task, event: Event) -> Draft | None:
    """Pause while the issue bears the label; anybody may stop work, only who may resume takes the label off for us."""
    issue = await forge.issue(event.repo, event.number)
    if issue is None:
        return None
    is_on = desk.settings.trigger.pause_label.lower() in (name.lower() for name in issue.labels)
    if is_on == ("label" in task.brakes):
        return None
    actor = await forge.account(event.repo, event.actor)
    may = actor.kind is AccountKind.HUMAN and (await forge.role(event.repo, actor)).at_least(
        needed(BY_VERB[Verb.RESUME], task.policy)
    )
    if not is_on and not may:
        desk.log.warning("brake.refused", task=task.origin.task, actor=event.actor.id)
        return None
    return Draft(
        "pause", kinds.Pause(is_on, event.delivery[:256], "label"), desk.person(event.repo, actor, "requester")
    )


async def _is_decided(forge: Forge, task: Task) -> bool:
    """Tell whether the change is merged or closed: a merge closes the issue too, and the change's own event counts."""
    change = await forge.get_change(task.origin.repo, task.pull.number) if task.pull else None
    return change is not None and not change.is_open


async def _on_change(desk: Desk, forge: Forge, task: Task, event: Event) -> tuple[Draft, ...]:
    if task.pull is None or task.pull.number != event.number:
        return ()
    if event.kind is EventKind.UNREVIEWED:
        return await _taken_back(desk, forge, task, event)
    change = await forge.get_change(event.repo, event.number)
    if change is None or change.is_open:
        return ()
    return decided(desk, task, change, desk.person(event.repo, event.actor, "requester"))


def decided(desk: Desk, task: Task, change: Change, who: Who) -> tuple[Draft, ...]:
    """End a task whose change was merged or closed, and say it aloud where it was merged past its gate."""
    if not change.is_merged:
        closed = kinds.TaskClosed(State.REJECTED.value, "the change was closed without a merge")
        return (Draft("task.closed", closed, who, "forge"),)
    if task.state not in (State.CHANGE_REVIEW, State.BLOCKED):
        return (Draft("task.blocked", kinds.TaskBlocked("GW-MERGED-EARLY"), who, "forge"),)
    merged = Draft("task.closed", kinds.TaskClosed(State.DONE.value, "merged"), who, "forge")
    code = _mismatch(task, change, desk.settings.server.instance)
    if not code:
        return (merged,)
    desk.log.error("merge.alarm", task=task.origin.task, code=code, commit=change.head)
    return (Draft("alarm", kinds.Alarm(code, change.head), desk.service, "forge"), merged)


def _mismatch(task: Task, change: Change, instance: str) -> str:
    """Derive every merge from the journal again: the gate let exactly this pass, as it stands now, or it did not."""
    passed = task.let_pass(Gate.CHANGE)
    if passed is None or passed.digest != binding(task, Gate.CHANGE, instance).digest():
        return "GW-MERGED-UNAPPROVED"
    return "" if change.head == task.head else "GW-MERGED-OTHER"


def _close(desk: Desk, event: Event, state: State, reason: str) -> Draft:
    who = desk.person(event.repo, event.actor, "requester")
    return Draft("task.closed", kinds.TaskClosed(state.value, reason), who, "forge")


def _block(desk: Desk, event: Event, code: str) -> Draft:
    who = desk.person(event.repo, event.actor, "requester")
    return Draft("task.blocked", kinds.TaskBlocked(code), who, "forge")


async def _taken_back(desk: Desk, forge: Forge, task: Task, event: Event) -> tuple[Draft, ...]:
    mine = [vote for vote in task.votes(Gate.CHANGE) if vote.actor.id == event.actor.id]
    if not mine or await forge.approves(event.repo, event.number, event.actor):
        return ()  # or was given again
    who = desk.person(event.repo, event.actor, "approver")
    gone = [kinds.ApprovalWithdrawn(Gate.CHANGE.value, vote.digest, "withdrawn", vote.event_id) for vote in mine]
    return tuple(Draft("approval.withdrawn", one, who, "forge") for one in gone)
