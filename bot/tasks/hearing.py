"""Somebody said something, or the forge did something: turn an event into records."""

from __future__ import annotations

from bot.audit import kinds
from bot.audit.chain import Draft
from bot.audit.record import Who
from bot.commands.grammar import Said, parse
from bot.forges.protocol import Forge
from bot.model.command import Command, Verb
from bot.model.event import Comment, Event, EventKind, ForgeKind
from bot.model.task import Gate, State, Task
from bot.tasks.acting import Hearing, carry_out
from bot.tasks.book import Book
from bot.tasks.desk import Desk
from bot.tasks.names import remember
from bot.tasks.needs import MOST_COMMANDS


async def hear(desk: Desk, book: Book, event: Event) -> None:
    """Write down what an event means for this task; an event that means nothing writes nothing."""
    if event.kind in (EventKind.COMMENTED, EventKind.REVIEWED):
        await _hear_person(desk, book, event)
        return
    draft = _happening(desk, book.task, event)
    if draft is not None:
        await book.write(draft)


def _happening(desk: Desk, task: Task, event: Event) -> Draft | None:
    """Turn what happened on the forge into a record, None where it means nothing to this task."""
    if task.state.is_final:
        return None
    who = desk.person(event.repo, event.actor, "requester")
    if event.on_change:
        return _on_change(desk, task, event, who)
    if event.kind is EventKind.UNLABELED and event.label.lower() == desk.settings.trigger.label.lower():
        return _close(State.CANCELLED, "the label was removed", who)
    # A merge closes the issue too; the change's own event says so.
    if event.kind is EventKind.ISSUE_CLOSED and task.state is not State.CHANGE_REVIEW:
        return _close(State.CANCELLED, "the issue was closed", who)
    if event.kind is EventKind.ISSUE_AWAY and task.state is not State.BLOCKED:
        return Draft("task.blocked", kinds.TaskBlocked("GW-ISSUE-AWAY"), who, "forge")
    return None


def _on_change(desk: Desk, task: Task, event: Event, who: Who) -> Draft | None:
    if task.pull is None or task.pull.number != event.number:
        return None
    if event.kind is EventKind.CHANGE_CLOSED:
        return _close(State.REJECTED, "the change was closed without a merge", who)
    if event.kind is EventKind.CHANGE_PUSHED:
        return _pushed_over(desk, task, event)
    if event.kind is not EventKind.CHANGE_MERGED:
        return None
    if task.state in (State.CHANGE_REVIEW, State.BLOCKED):
        return _close(State.DONE, "merged", who)
    return Draft("task.blocked", kinds.TaskBlocked("GW-MERGED-EARLY"), who, "forge")


def _close(state: State, reason: str, who: Who) -> Draft:
    return Draft("task.closed", kinds.TaskClosed(state.value, reason), who, "forge")


def _pushed_over(desk: Desk, task: Task, event: Event) -> Draft | None:
    approval = task.approval(Gate.CHANGE)
    if approval is None or not event.head_sha or event.head_sha == task.head:
        return None
    gone = kinds.ApprovalWithdrawn(Gate.CHANGE.value, approval.digest, "a commit was pushed")
    return Draft("approval.withdrawn", gone, desk.service, "forge")


async def _hear_person(desk: Desk, book: Book, event: Event) -> None:
    comment, repo = event.comment, event.repo
    if comment is None:
        return
    forge = desk.forge(repo, event.installation or book.task.origin.installation)
    me = await desk.me(repo, event.installation or book.task.origin.installation)
    if comment.author.id == me.id and repo.forge is not ForgeKind.LOCAL:
        return
    said = _said(desk, event)
    prefix = f"{event.number}:{'r' if event.kind is EventKind.REVIEWED else ''}{comment.id}"
    if not said or any(h.event_id == prefix for h in book.task.heard):
        return
    if event.kind is EventKind.COMMENTED and not await _unchanged(forge, event, comment):
        desk.log.warning("comment.changed", repo=repo.path, number=event.number, comment=comment.id)
        return
    role = await forge.role(repo, comment.author)
    await remember(desk.redis, repo, comment.author)
    for index, command in enumerate(said[:MOST_COMMANDS]):
        event_id = prefix + (f"#{index}" if index else "")
        hearing = Hearing(desk, book.task, event, comment, role, me, event_id)
        await book.write(*carry_out(hearing, command))


def _said(desk: Desk, event: Event) -> tuple[Said, ...]:
    trigger = desk.settings.trigger
    if event.comment is None:
        return ()
    said = parse(event.comment.body, bot_name=trigger.bot_name, bare=event.repo.forge is not ForgeKind.GITLAB)
    if event.kind is EventKind.REVIEWED and event.review_approves:
        return (Command(Verb.APPROVE), *said)
    return said


async def _unchanged(forge: Forge, event: Event, comment: Comment) -> bool:
    """Read the comment again: only the text its author wrote, never edited since, may act."""
    now = await forge.get_comment(event.repo, event.number, comment.id)
    return now is not None and now.body == comment.body and now.author.id == comment.author.id
