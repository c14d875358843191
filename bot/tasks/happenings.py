"""What became of an issue or a change on its forge, and what that means for the task.

Deliveries come late, twice and in any order. An event therefore only says where to look: what stands there now decides.
"""

from __future__ import annotations

from bot.audit import kinds
from bot.audit.chain import Draft
from bot.forges.protocol import Change, Forge
from bot.model.event import Event, EventKind
from bot.model.task import Gate, State, Task
from bot.tasks.desk import Desk


async def happening(desk: Desk, task: Task, event: Event) -> Draft | None:
    """Turn what happened on the forge into a record, None where it means nothing to this task (any more)."""
    if task.state.is_final:
        return None
    forge = desk.forge(event.repo, event.installation or task.origin.installation)
    return await (_on_change if event.on_change else _on_issue)(desk, forge, task, event)


async def _on_issue(desk: Desk, forge: Forge, task: Task, event: Event) -> Draft | None:
    label = desk.settings.trigger.label.lower()
    if event.kind is EventKind.UNLABELED and event.label.lower() != label:
        return None
    issue = await forge.issue(event.repo, event.number)
    if event.kind is EventKind.ISSUE_AWAY:
        is_hidden = issue is not None and issue.is_confidential and not desk.settings.policy.confidential_issues
        is_back = issue is not None and not issue.is_locked and not is_hidden
        return None if is_back or task.state is State.BLOCKED else _block(desk, event, "GW-ISSUE-AWAY")
    if issue is None:
        return None  # it is away, and an event of its own says so
    if event.kind is EventKind.UNLABELED and label not in (name.lower() for name in issue.labels):
        return _close(desk, event, State.CANCELLED, "the label was removed")
    if event.kind is EventKind.ISSUE_CLOSED and not issue.is_open and not await _is_decided(forge, task):
        return _close(desk, event, State.CANCELLED, "the issue was closed")
    return None


async def _is_decided(forge: Forge, task: Task) -> bool:
    """Tell whether the change is merged or closed: a merge closes the issue too, and the change's own event counts."""
    change = await forge.get_change(task.origin.repo, task.pull.number) if task.pull else None
    return change is not None and not change.is_open


async def _on_change(desk: Desk, forge: Forge, task: Task, event: Event) -> Draft | None:
    if task.pull is None or task.pull.number != event.number:
        return None
    if event.kind is EventKind.UNREVIEWED:
        return await _taken_back(desk, forge, task, event)
    change = await forge.get_change(event.repo, event.number)
    if change is None:
        return None
    if event.kind is EventKind.CHANGE_PUSHED:
        return _pushed_over(desk, task, change)
    return None if change.is_open else _decided(desk, task, event, change)


def _decided(desk: Desk, task: Task, event: Event, change: Change) -> Draft:
    if not change.is_merged:
        return _close(desk, event, State.REJECTED, "the change was closed without a merge")
    if task.state in (State.CHANGE_REVIEW, State.BLOCKED):
        return _close(desk, event, State.DONE, "merged")
    return _block(desk, event, "GW-MERGED-EARLY")


def _close(desk: Desk, event: Event, state: State, reason: str) -> Draft:
    who = desk.person(event.repo, event.actor, "requester")
    return Draft("task.closed", kinds.TaskClosed(state.value, reason), who, "forge")


def _block(desk: Desk, event: Event, code: str) -> Draft:
    who = desk.person(event.repo, event.actor, "requester")
    return Draft("task.blocked", kinds.TaskBlocked(code), who, "forge")


def _pushed_over(desk: Desk, task: Task, change: Change) -> Draft | None:
    approval = task.approval(Gate.CHANGE)
    if approval is None or change.head == task.head:
        return None
    gone = kinds.ApprovalWithdrawn(Gate.CHANGE.value, approval.digest, "a commit was pushed")
    return Draft("approval.withdrawn", gone, desk.service, "forge")


async def _taken_back(desk: Desk, forge: Forge, task: Task, event: Event) -> Draft | None:
    approval = task.approval(Gate.CHANGE)
    if approval is None or approval.actor.id != event.actor.id:
        return None
    if await forge.approves(event.repo, event.number, event.actor):
        return None  # and was given again
    gone = kinds.ApprovalWithdrawn(Gate.CHANGE.value, approval.digest, "the approval was taken back")
    return Draft("approval.withdrawn", gone, desk.person(event.repo, event.actor, "approver"), "forge")
