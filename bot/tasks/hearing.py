"""Somebody said something, or the forge did something: turn an event into records."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Final

from msgspec.structs import replace

from bot.commands.grammar import Said, parse
from bot.forges.protocol import Forge
from bot.model.command import Command, Verb
from bot.model.event import Comment, Event, EventKind, ForgeKind
from bot.model.gates import Approval
from bot.model.role import Role
from bot.model.state import Gate
from bot.model.task import Task
from bot.policy.rules import barred, objection
from bot.tasks.acting import carry_out
from bot.tasks.afterwards import answer, drop
from bot.tasks.approving import method
from bot.tasks.ballot import Ballot, sha256
from bot.tasks.binding import binding, revision
from bot.tasks.book import Book
from bot.tasks.brakes import Brakes
from bot.tasks.context import Context
from bot.tasks.desk import Desk
from bot.tasks.happenings import happening
from bot.tasks.holding import waits
from bot.tasks.index import Index
from bot.tasks.lookout import look
from bot.tasks.names import remember
from bot.tasks.pushes import note
from bot.tasks.reviewing import reviewer
from bot.tasks.wanted import MOST_COMMANDS

NATIVE: Final = Command(Verb.APPROVE)  # what an approval by the forge's own button says
LOOKING: Final = (EventKind.ISSUE_EDITED, EventKind.CHANGE_PUSHED)
CONTRADICTS: Final = frozenset({Verb.REVISE, Verb.EDIT, Verb.REJECT, Verb.FIX, Verb.CANCEL})


async def hear(desk: Desk, book: Book, event: Event) -> None:
    """Write down what an event means for this task; an event that means nothing writes nothing, nor one too late."""
    if event.kind in (EventKind.COMMENTED, EventKind.REVIEWED):
        await _hear_person(desk, book, event)
        return
    if book.task.is_sealed:
        drop(desk, book.task.origin.task, event)
        return
    if event.kind in LOOKING:
        if await _is_our_own_doing(desk, event):
            return
        if event.kind is EventKind.CHANGE_PUSHED:
            await note(desk, book.task.origin.task, event.head_sha, event.actor)
        await look(desk, book)
        return
    for draft in await happening(desk, book.task, event):
        await book.write(draft)


async def _is_our_own_doing(desk: Desk, event: Event) -> bool:
    """Tell whether we edited a comment ourselves, or somebody one that is not ours: neither changes what we asked."""
    me = await desk.me(event.repo, event.installation)
    if event.kind is not EventKind.ISSUE_EDITED or event.repo.forge is ForgeKind.LOCAL:
        return False
    is_ours = event.comment is None or event.comment.author.id == me.id
    return not is_ours or event.actor.id == me.id


async def _hear_person(desk: Desk, book: Book, event: Event) -> None:
    comment, repo = event.comment, event.repo
    if comment is None:
        return
    installation = event.installation or book.task.origin.installation
    forge, me = desk.forge(repo, installation), await desk.me(repo, installation)
    if comment.author.id == me.id and repo.forge is not ForgeKind.LOCAL:
        return
    unheard = _unheard(desk, book, event, comment)
    if any(command is NATIVE for _, command in unheard) and (
        book.task.is_sealed or not await _stands(forge, book.task, event)
    ):
        unheard = [(event_id, command) for event_id, command in unheard if command is not NATIVE]
    if not unheard:
        return
    if event.kind is EventKind.COMMENTED and not await _unchanged(forge, event, comment):
        desk.log.warning("comment.changed", repo=repo.path, number=event.number, comment=comment.id)
        return
    comment = replace(comment, author=await forge.account(repo, comment.author))
    role = await forge.role(repo, comment.author)
    await remember(desk.redis, repo, comment.author)
    plain = Context(desk, book.task, event, comment, role, me, "", await _head(forge, event))
    said = _said(desk, book.task, event, comment)  # all of it: what was heard before a crash contradicts as well
    is_unclear = any(isinstance(one, Command) and one.verb in CONTRADICTS for one in said)
    for event_id, command in unheard:
        is_native = command is NATIVE
        now = dataclasses.replace(
            plain, task=book.task, event_id=event_id, is_native=is_native, is_unclear=is_unclear and not is_native
        )
        context = await _informed(now, command)
        if book.task.is_sealed:
            await answer(context, carry_out(context, command))
            continue
        await book.write(*carry_out(context, command))
        await _brake(context, book, command)


async def _informed(context: Context, command: Said) -> Context:
    """Find out what policy says about the person, where the command is one that decides."""
    gate = context.task.state.gate
    if isinstance(command, Command) and command.verb is Verb.STATUS:
        held = await waits(context.desk, Index(context.desk.redis), context.task)
        return dataclasses.replace(context, waits=held)
    if isinstance(command, Command) and command.verb is Verb.REVIEWED:
        return await reviewer(context)
    if not isinstance(command, Command) or gate is None:
        return context
    ballot = Ballot(context.desk, context.task, gate)
    if command.verb is Verb.EMERGENCY:
        people = context.task.policy.emergency.people
        names_them = [await ballot.matches(entry, [context.comment.author]) for entry in people]
        return dataclasses.replace(context, breaks_glass=any(names_them))
    if command.verb is not Verb.APPROVE or not context.role.at_least(Role.WRITE):
        return context
    vote = await ballot.vote(_candidate(context, gate, command))
    case = await ballot.outline("decision", (vote,))
    code = objection(context.task.policy, case, vote)
    part = barred(context.task.policy, case).get(vote.person, "")
    return dataclasses.replace(context, objection=code, barred_as=part)


def _candidate(context: Context, gate: Gate, command: Command) -> Approval:
    """Spell the vote that this would be, so that it is judged as it will be judged later."""
    digest = binding(context.task, gate, context.desk.settings.server.instance).digest()
    words = "" if context.is_native else sha256(context.comment.body)
    return Approval(
        gate, revision(context.task, gate), digest, context.comment.author, context.role.value,
        context.comment.created_ms, context.event_id, method(context, command), words,
    )  # fmt: skip


async def _brake(context: Context, book: Book, command: Said) -> None:
    """Carry out a pause of the whole repository: it is more than this task's journal can hold."""
    heard = book.task.heard[-1] if book.task.heard else None
    if not isinstance(command, Command) or heard is None or heard.event_id != context.event_id or not heard.accepted:
        return
    if command.verb not in (Verb.PAUSE, Verb.RESUME) or not command.argument.strip():
        return
    brakes, repo = Brakes(context.desk.redis), context.event.repo
    by = f"{repo.forge}:{context.comment.author.id}"
    if command.verb is Verb.PAUSE:
        await brakes.pull(repo.key, by, f"`pause repository` in {context.event_id}", context.desk.clock())
    else:
        await brakes.release(repo.key)
    for task in await Index(context.desk.redis).open_tasks():
        await context.desk.wake(task)


def _unheard(desk: Desk, book: Book, event: Event, comment: Comment) -> list[tuple[str, Said]]:
    """List the commands that are not in the journal: a crash may have come between two of one comment."""
    prefix = f"{event.number}:{'r' if event.kind is EventKind.REVIEWED else ''}{comment.id}"
    said = _said(desk, book.task, event, comment)[:MOST_COMMANDS]
    named = [(prefix + (f"#{index}" if index else ""), command) for index, command in enumerate(said)]
    heard = {one.event_id for one in book.task.heard}
    return [(event_id, command) for event_id, command in named if event_id not in heard]


def _said(desk: Desk, task: Task, event: Event, comment: Comment) -> Sequence[Said]:
    trigger = desk.settings.trigger
    said = parse(comment.body, bot_name=trigger.bot_name, manners=desk.forge(event.repo).manners)
    counts = task.policy.native_approval != "ignored"
    if event.kind is EventKind.REVIEWED and event.review_approves and counts:
        return (NATIVE, *said)
    return said


async def _stands(forge: Forge, task: Task, event: Event) -> bool:
    """Tell whether a native approval is news, and still what its giver says."""
    if any(vote.actor.id == event.actor.id for vote in task.votes(Gate.CHANGE)):
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
