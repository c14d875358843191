"""What an allowed command means: one function a verb, from a command to the records that carry it out."""

from __future__ import annotations

import hashlib
from typing import Final

from bot.audit import kinds
from bot.audit.chain import Draft
from bot.commands.grammar import Said, Unknown
from bot.commands.permission import decide
from bot.model.command import Command, Verb
from bot.model.documents import normalise, parse_plan, parse_spec
from bot.model.errors import GatewrightError, Refused
from bot.model.hygiene_characters import seen
from bot.model.profile import PHASES, said
from bot.model.state import Gate, State
from bot.model.task import Task
from bot.profiles import chosen
from bot.tasks.allotment import check_use
from bot.tasks.approving import approve, emergency, release
from bot.tasks.context import Context
from bot.tasks.reviewing import reviewed
from bot.tasks.selection import recorded


def carry_out(context: Context, command: Said) -> tuple[Draft, ...]:
    """Decide on a command and say what is to be recorded."""
    if isinstance(command, Unknown):
        return (context.refused(command.word[:64], _not_a_verb(command)),)
    verb = command.verb.value
    refusal = decide(
        command,
        state=context.task.state,
        role=context.role,
        actor=context.comment.author,
        me=context.me,
        policy=context.task.policy,
        on_change=context.event.on_change,
        manners=context.manners,
    )
    refusal = refusal or _too_late(context, command) or _not_here(context, command)
    if refusal:
        return (context.refused(verb, refusal),)
    try:
        return ACT.get(command.verb, _plain)(context, command)
    except GatewrightError as error:
        return (context.refused(verb, error),)


def _too_late(context: Context, command: Command) -> Refused | None:
    """Ask again for what was found long after it was said: who said it may know by now what we do not."""
    minutes = context.task.policy.late_minutes
    age_ms = context.desk.clock() - context.comment.created_ms
    if age_ms <= minutes * 60_000 or command.verb in (Verb.STATUS, Verb.HELP):
        return None
    return Refused(
        "GW-COMMAND-LATE",
        f"I found your `{command.verb}` only now, more than {minutes} minutes later",
        why="I was away, or its delivery was",
        fix="read where the task stands and say it again, if it is still what you want",
    )


def _not_here(context: Context, command: Command) -> Refused | None:
    """Keep words of a hidden comment hidden: what a model is told ends up where everybody reads."""
    if not context.comment.is_internal or not (command.argument.strip() or command.block.strip()):
        return None
    if command.verb is Verb.APPROVE:
        return None  # a digest, which is public already
    return Refused(
        "GW-COMMAND-INTERNAL",
        f"`{command.verb}` with words of its own does not count in an internal note",
        why="the words would become part of public texts",
        fix="say it in an ordinary comment",
    )


def _not_a_verb(unknown: Unknown) -> Refused:
    hint = f"did you mean `{unknown.suggestion}`? " if unknown.suggestion else ""
    return Refused("GW-COMMAND-UNKNOWN", f"I do not know `{unknown.word}`", fix=f"{hint}`help` lists what I understand")


def _plain(context: Context, command: Command) -> tuple[Draft, ...]:
    """Record a command whose effect is the fold's alone."""
    refs = (context.desk.store("argument", command.argument.encode()),) if command.argument else ()
    return (context.record(command.verb.value, *refs),)


def _brake(context: Context, command: Command) -> tuple[Draft, ...]:
    """Pause or resume this task, or all tasks of the repository where that is said."""
    words = command.argument.strip().lower()
    if words not in ("", "repository"):
        verb = command.verb.value
        raise Refused(
            "GW-PAUSE-WHAT", f"`{verb} {words[:40]}` is not known", fix=f"say `{verb}` or `{verb} repository`"
        )
    return (context.record(command.verb.value, target=words),)


def _edit(context: Context, command: Command) -> tuple[Draft, ...]:
    task, gate = context.task, context.task.state.gate
    if not command.block.strip():
        raise Refused("GW-EDIT-EMPTY", "there is no text to take over", fix="put the whole text into a fenced block")
    text = context.desk.clean(
        normalise(seen(command.block))
    )  # a draft holds nothing that those who approve it cannot see
    spec = parse_spec(text) if gate is Gate.SPEC else parse_spec(_text_of(context, task))
    if gate is Gate.PLAN:
        parse_plan(text, spec)
    digest = hashlib.sha256(text.encode()).hexdigest()
    ref = context.desk.store("text", text.encode())
    who = context.desk.person(context.event.repo, context.comment.author, "author")
    present = task.spec if gate is Gate.SPEC else task.plan
    rev = present.rev + 1 if present else 1
    data: kinds.Data
    if gate is Gate.SPEC:
        kind, data = "spec.set", kinds.SpecSet(digest, rev, source=who.id)
    else:
        kind, data = "plan.set", kinds.PlanSet(digest, rev, source=who.id)
    return context.record("edit"), Draft(kind, data, who, "forge", refs=(ref,))


def _text_of(context: Context, task: Task) -> str:
    if task.spec is None:
        raise Refused("GW-EDIT-NOTHING", "there is no spec yet")
    return context.desk.blobs.get(task.spec.commitment).decode()


def _revise(context: Context, command: Command) -> tuple[Draft, ...]:
    words = command.argument.strip()
    if not words:
        raise Refused("GW-REVISE-EMPTY", "what should change?", fix="say it after `revise`")
    first, _, rest = words.partition(" ")
    refs = [context.desk.store("argument", words.encode())]
    if first.rstrip(":").lower() == "spec" and rest and context.task.state is not State.SPEC_REVIEW:
        refs.append(context.desk.store("respecify", b"spec"))
    return (context.record("revise", *refs),)


def _model(context: Context, command: Command) -> tuple[Draft, ...]:
    """Take other models, which are held now to what they are held to again when an attempt is ordered."""
    choice, task, settings = said(command.argument), context.task, context.desk.settings
    profile = chosen(settings, choice, task.profile)
    for phase in choice.models or PHASES:
        try:
            check_use(settings, task.origin.repo, task.policy, getattr(profile, phase))
        except Refused as error:
            raise Refused(error.code, f"{error.what} (for {phase})", why=error.why, fix=error.fix) from None
    set_it = Draft("profile.set", recorded(profile, choice.name), context.desk.service)
    phase, model = next(iter(choice.models.items())) if len(choice.models) == 1 else ("", "")
    return context.record("model", phase=phase, model=model, target=choice.name), set_it


def _answer(context: Context, verb: Verb) -> str:
    if verb is Verb.HELP:
        return context.words.help(context.task, event_id=context.event_id)
    now_ms = context.desk.clock()
    return context.words.status(context.task, event_id=context.event_id, now_ms=now_ms, waits=context.waits)


def _reply(context: Context, command: Command) -> tuple[Draft, ...]:
    text = _answer(context, command.verb)
    return (context.record(command.verb.value, context.desk.store("answer", text.encode())),)


ACT: Final = {
    Verb.APPROVE: approve,
    Verb.EMERGENCY: emergency,
    Verb.REVIEWED: reviewed,
    Verb.CI: release,
    Verb.PAUSE: _brake,
    Verb.RESUME: _brake,
    Verb.EDIT: _edit,
    Verb.REVISE: _revise,
    Verb.MODEL: _model,
    Verb.STATUS: _reply,
    Verb.HELP: _reply,
}
