"""Somebody said something, or the forge did something: turn an event into records."""

from __future__ import annotations

from typing import Final

from msgspec.structs import replace

from bot.commands.grammar import Said, parse
from bot.forges.protocol import Forge
from bot.model.command import Command, Verb
from bot.model.event import Comment, Event, EventKind, ForgeKind
from bot.model.task import Gate, Task
from bot.tasks.acting import Hearing, carry_out
from bot.tasks.book import Book
from bot.tasks.desk import Desk
from bot.tasks.happenings import happening
from bot.tasks.names import remember
from bot.tasks.needs import MOST_COMMANDS

NATIVE: Final = Command(Verb.APPROVE)  # what an approval by the forge's own button says


async def hear(desk: Desk, book: Book, event: Event) -> None:
    """Write down what an event means for this task; an event that means nothing writes nothing."""
    if event.kind in (EventKind.COMMENTED, EventKind.REVIEWED):
        await _hear_person(desk, book, event)
        return
    draft = await happening(desk, book.task, event)
    if draft is not None:
        await book.write(draft)


async def _hear_person(desk: Desk, book: Book, event: Event) -> None:
    comment, repo = event.comment, event.repo
    if comment is None:
        return
    installation = event.installation or book.task.origin.installation
    forge, me = desk.forge(repo, installation), await desk.me(repo, installation)
    if comment.author.id == me.id and repo.forge is not ForgeKind.LOCAL:
        return
    unheard = _unheard(desk, book, event, comment)
    if any(command is NATIVE for _, command in unheard) and not await _stands(forge, book.task, event):
        unheard = [(event_id, command) for event_id, command in unheard if command is not NATIVE]
    if not unheard:
        return
    if event.kind is EventKind.COMMENTED and not await _unchanged(forge, event, comment):
        desk.log.warning("comment.changed", repo=repo.path, number=event.number, comment=comment.id)
        return
    comment = replace(comment, author=await forge.account(comment.author))
    role = await forge.role(repo, comment.author)
    head = await _head(forge, event)
    await remember(desk.redis, repo, comment.author)
    for event_id, command in unheard:
        hearing = Hearing(desk, book.task, event, comment, role, me, event_id, head)
        await book.write(*carry_out(hearing, command))


def _unheard(desk: Desk, book: Book, event: Event, comment: Comment) -> list[tuple[str, Said]]:
    """List the commands that are not in the journal: a crash may have come between two of one comment."""
    prefix = f"{event.number}:{'r' if event.kind is EventKind.REVIEWED else ''}{comment.id}"
    said = _said(desk, event, comment)[:MOST_COMMANDS]
    named = [(prefix + (f"#{index}" if index else ""), command) for index, command in enumerate(said)]
    heard = {one.event_id for one in book.task.heard}
    return [(event_id, command) for event_id, command in named if event_id not in heard]


def _said(desk: Desk, event: Event, comment: Comment) -> tuple[Said, ...]:
    trigger = desk.settings.trigger
    said = parse(comment.body, bot_name=trigger.bot_name, manners=desk.forge(event.repo).manners)
    counts = desk.settings.policy.native_approval
    if event.kind is EventKind.REVIEWED and event.review_approves and counts:
        return (NATIVE, *said)
    return said


async def _stands(forge: Forge, task: Task, event: Event) -> bool:
    """Tell whether a native approval is news, and still what its giver says."""
    known = task.approval(Gate.CHANGE)
    if known is not None and known.actor.id == event.actor.id:
        return False
    return await forge.approves(event.repo, event.number, event.actor)


async def _unchanged(forge: Forge, event: Event, comment: Comment) -> bool:
    """Read the comment again: only the text its author wrote, never edited since, may act.

    Times are compared by the second: some payloads say no more.
    """
    now = await forge.get_comment(event.repo, event.number, comment.id)
    if now is None or now.updated_ms // 1000 != comment.updated_ms // 1000:
        return False
    return now.body == comment.body and now.author.id == comment.author.id


async def _head(forge: Forge, event: Event) -> str:
    """Read what an approval of a change is about: the commit that was reviewed, or the head on the page now."""
    if not event.on_change:
        return ""
    if event.kind is EventKind.REVIEWED:
        return event.head_sha
    change = await forge.get_change(event.repo, event.number)
    return change.head if change else ""
