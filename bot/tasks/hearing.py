"""Somebody said something, or the forge did something: turn an event into records."""

from __future__ import annotations

import hashlib
from typing import Final

from bot.audit import kinds
from bot.audit.chain import Draft
from bot.audit.record import Ref
from bot.commands.grammar import Unknown, parse
from bot.commands.permission import decide
from bot.forges.protocol import Forge, Role
from bot.model.approval import matches
from bot.model.command import Command, Verb
from bot.model.documents import parse_plan, parse_spec
from bot.model.errors import GatewrightError, Refused
from bot.model.event import Actor, Comment, Event, EventKind, ForgeKind
from bot.model.task import Gate, Phase, State, Task
from bot.reports.words import Words
from bot.tasks.binding import binding
from bot.tasks.book import Book
from bot.tasks.desk import Desk
from bot.tasks.needs import MOST_COMMANDS

SHA_ONLY: Final = 12


async def hear(desk: Desk, book: Book, event: Event) -> None:
    """Write down what an event means for this task; an event that means nothing writes nothing."""
    if event.kind in (EventKind.COMMENTED, EventKind.REVIEWED):
        await _hear_person(desk, book, event)
        return
    draft = _happening(desk, book.task, event)
    if draft is not None:
        await book.write(draft)


def _happening(desk: Desk, task: Task, event: Event) -> Draft | None:
    """Turn what happened on the forge into a record: pure but for the actor's name."""
    who = desk.person(event.repo, event.actor, "requester")
    if task.state.is_final:
        return None
    closed = {
        EventKind.ISSUE_CLOSED: (State.CANCELLED, "the issue was closed"),
        EventKind.CHANGE_CLOSED: (State.REJECTED, "the change was closed without a merge"),
        EventKind.CHANGE_MERGED: (State.DONE, "merged"),
    }
    if event.kind is EventKind.UNLABELED and event.label.lower() == desk.settings.trigger.label.lower():
        return Draft("task.closed", kinds.TaskClosed(State.CANCELLED.value, "the label was removed"), who, "forge")
    if event.kind is EventKind.ISSUE_CLOSED and task.state is State.CHANGE_REVIEW:
        return None  # a merge closes the issue too, and its own event says so
    if event.kind in closed and (event.on_change or event.kind is EventKind.ISSUE_CLOSED):
        if event.on_change and (task.pull is None or task.pull.number != event.number):
            return None
        state, reason = closed[event.kind]
        if state is State.DONE and task.state not in (State.CHANGE_REVIEW, State.BLOCKED):
            return Draft("task.blocked", kinds.TaskBlocked("GW-MERGED-EARLY"), who, "forge")
        return Draft("task.closed", kinds.TaskClosed(state.value, reason), who, "forge")
    if event.kind is EventKind.ISSUE_AWAY and task.state is not State.BLOCKED:
        return Draft("task.blocked", kinds.TaskBlocked("GW-ISSUE-AWAY"), who, "forge")
    if event.kind is EventKind.CHANGE_PUSHED:
        return _pushed_over(task, event, desk)
    return None


def _pushed_over(task: Task, event: Event, desk: Desk) -> Draft | None:
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
    for index, command in enumerate(said[:MOST_COMMANDS]):
        event_id = prefix + (f"#{index}" if index else "")
        await book.write(*_drafts(Hearing(desk, book.task, event, comment, role, me, event_id), command))


def _said(desk: Desk, event: Event) -> tuple[Command | Unknown, ...]:
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


class Hearing:
    """One command under consideration."""

    def __init__(
        self, desk: Desk, task: Task, event: Event, comment: Comment, role: Role, me: Actor, event_id: str
    ) -> None:
        self.desk = desk
        self.task = task
        self.event = event
        self.comment = comment
        self.role = role
        self.me = me
        self.event_id = event_id
        self.words = Words.of(desk.settings, event.repo.forge)

    def record(self, verb: str, *refs: Ref, accepted: bool = True, code: str = "", **more: str) -> Draft:
        """Write down that a command was heard and what came of it."""
        data = kinds.Command(
            verb=verb,
            event_id=self.event_id,
            forge_ts=self.comment.created_ms,
            accepted=accepted,
            permission=self.role.value,
            code=code,
            **more,
        )
        who = self.desk.person(self.event.repo, self.comment.author, "requester")
        return Draft("command", data, who, "forge", "ok" if accepted else "denied", refs)

    def refused(self, verb: str, why: GatewrightError) -> Draft:
        """Refuse with words that say what to do now."""
        answer = self.words.refused(
            self.task, event_id=self.event_id, login=self.comment.author.login, verb=verb, error=why
        )
        return self.record(verb, self.desk.store("answer", answer.encode()), accepted=False, code=why.code)


def _drafts(hearing: Hearing, command: Command | Unknown) -> tuple[Draft, ...]:
    if isinstance(command, Unknown):
        return (hearing.refused(command.word[:64], _not_a_verb(command)),)
    verb = command.verb.value
    refusal = decide(
        command,
        state=hearing.task.state,
        role=hearing.role,
        actor=hearing.comment.author,
        me=hearing.me,
        min_role=Role(hearing.desk.settings.policy.min_role),
        on_change=hearing.event.on_change,
    )
    if refusal:
        return (hearing.refused(verb, refusal),)
    try:
        return ACT.get(command.verb, _plain)(hearing, command)
    except GatewrightError as error:
        return (hearing.refused(verb, error),)


def _not_a_verb(unknown: Unknown) -> Refused:
    hint = f"did you mean `{unknown.suggestion}`? " if unknown.suggestion else ""
    return Refused("GW-COMMAND-UNKNOWN", f"I do not know `{unknown.word}`", fix=f"{hint}`help` lists what I understand")


def _plain(hearing: Hearing, command: Command) -> tuple[Draft, ...]:
    """Record a command whose effect is the fold's alone."""
    refs = (hearing.desk.store("argument", command.argument.encode()),) if command.argument else ()
    return (hearing.record(command.verb.value, *refs),)


def _approve(hearing: Hearing, command: Command) -> tuple[Draft, ...]:
    task, gate = hearing.task, hearing.task.state.gate
    if gate is None:
        raise Refused("GW-APPROVE-NOTHING", "nothing waits for an approval now")
    asked = task.asked(gate)
    present = binding(task, gate, hearing.desk.settings.server.instance).digest()
    if asked is None or asked.digest != present:
        raise Refused(
            "GW-APPROVE-NOT-ASKED", f"the {gate.value} has not been shown yet", fix="wait for its comment, then approve"
        )
    wanted = command.argument.split()[0] if command.argument.split() else ""
    if wanted and not matches(wanted, asked.digest):
        raise Refused(
            "GW-APPROVE-STALE",
            f"`{wanted[:64]}` is not the digest of the {gate.value} in force",
            why=f"the one in force is {asked.digest[:SHA_ONLY]}",
            fix=f"read the newest draft and approve {asked.digest[:SHA_ONLY]}",
        )
    _check_order(hearing, gate, asked.rev, is_exact=bool(wanted))
    who = hearing.desk.person(hearing.event.repo, hearing.comment.author, "approver")
    approval = kinds.Approval(
        what=gate.value,
        digest=asked.digest,
        rev=asked.rev,
        event_id=hearing.event_id,
        forge_ts=hearing.comment.created_ms,
        permission=hearing.role.value,
        method="digest" if wanted else "shown",
    )
    return hearing.record("approve"), Draft("approval", approval, who, "forge")


def _check_order(hearing: Hearing, gate: Gate, rev: int, *, is_exact: bool) -> None:
    """Refuse an approval made before its draft was shown; ids on a forge grow, clocks may disagree."""
    if gate is Gate.CHANGE:
        return  # bound to the head of the change, which the reviewer's own page shows
    shown = hearing.task.posted.get(f"gate.{gate.value}:{rev}", "")
    if not shown:
        raise Refused("GW-APPROVE-NOT-ASKED", f"the {gate.value} has not been shown yet", fix="wait for its comment")
    if not is_exact and shown.isdigit() and hearing.comment.id < int(shown):
        raise Refused(
            "GW-APPROVE-BEFORE", f"your comment is older than the {gate.value} in force", fix="read it, then approve"
        )


def _edit(hearing: Hearing, command: Command) -> tuple[Draft, ...]:
    task, gate = hearing.task, hearing.task.state.gate
    if not command.block.strip():
        raise Refused(
            "GW-EDIT-EMPTY", "there is no text to take over", fix="put the whole new text into a fenced block"
        )
    text = hearing.words.normalise(command.block)
    spec = parse_spec(text) if gate is Gate.SPEC else parse_spec(_text_of(hearing, task))
    if gate is Gate.PLAN:
        parse_plan(text, spec)
    digest = hashlib.sha256(text.encode()).hexdigest()
    ref = hearing.desk.store("text", text.encode())
    who = hearing.desk.person(hearing.event.repo, hearing.comment.author, "author")
    rev = task.artifact(gate).rev + 1 if gate and task.artifact(gate) else 1  # type: ignore[union-attr]
    data: kinds.Data
    if gate is Gate.SPEC:
        kind, data = "spec.set", kinds.SpecSet(digest, rev, source=who.id)
    else:
        kind, data = "plan.set", kinds.PlanSet(digest, rev, source=who.id)
    return hearing.record("edit"), Draft(kind, data, who, "forge", refs=(ref,))


def _text_of(hearing: Hearing, task: Task) -> str:
    if task.spec is None:
        raise Refused("GW-EDIT-NOTHING", "there is no spec yet")
    return hearing.desk.blobs.get(task.spec.commitment).decode()


def _revise(hearing: Hearing, command: Command) -> tuple[Draft, ...]:
    words = command.argument.strip()
    if not words:
        raise Refused("GW-REVISE-EMPTY", "what should change?", fix="say it after `revise`")
    first, _, rest = words.partition(" ")
    refs = [hearing.desk.store("argument", words.encode())]
    if first.rstrip(":").lower() == "spec" and rest and hearing.task.state is not State.SPEC_REVIEW:
        refs.append(hearing.desk.store("respecify", b"spec"))
    return (hearing.record("revise", *refs),)


def _model(hearing: Hearing, command: Command) -> tuple[Draft, ...]:
    phase, _, model = command.argument.strip().partition("=")
    phases = [p.value for p in Phase]
    if phase not in phases or not model or len(model) > 200 or not model.isprintable() or " " in model:
        known = ", ".join(phases)
        raise Refused(
            "GW-MODEL-FORM", "that names no phase and model", fix=f"say <phase>=<model>, phase one of {known}"
        )
    profile = {p: hearing.task.profile.model(Phase(p)) for p in phases} | {phase: model}
    set_it = Draft("profile.set", kinds.ProfileSet(**profile), hearing.desk.service)
    return hearing.record("model", phase=phase, model=model), set_it


def _reply(hearing: Hearing, command: Command) -> tuple[Draft, ...]:
    text = hearing.words.help() if command.verb is Verb.HELP else hearing.words.status(hearing.task)
    return (hearing.record(command.verb.value, hearing.desk.store("answer", text.encode())),)


ACT: Final = {
    Verb.APPROVE: _approve,
    Verb.EDIT: _edit,
    Verb.REVISE: _revise,
    Verb.MODEL: _model,
    Verb.STATUS: _reply,
    Verb.HELP: _reply,
}
