"""What an allowed command means: one function a verb, from a command to the records that carry it out."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Final

from bot.audit import kinds
from bot.audit.chain import Draft
from bot.audit.record import Ref
from bot.commands.grammar import Said, Unknown
from bot.commands.permission import SILENT, decide
from bot.forges.protocol import Role
from bot.model.approval import SHOWN, matches
from bot.model.command import Command, Verb
from bot.model.documents import normalise, parse_plan, parse_spec
from bot.model.errors import GatewrightError, Refused
from bot.model.event import Actor, Comment, Event
from bot.model.manners import Manners
from bot.model.task import Gate, Phase, State, Task
from bot.reports.words import Words
from bot.tasks.binding import binding
from bot.tasks.desk import Desk

MODEL_LIMIT: Final = 200  # characters of a model string


@dataclass(frozen=True)
class Hearing:
    """One command under consideration, with everything its decision is taken on."""

    desk: Desk
    task: Task
    event: Event
    comment: Comment
    role: Role
    me: Actor
    event_id: str
    head: str = ""  # of a change: the commit that a review was about, or the one that its page shows

    @property
    def manners(self) -> Manners:
        """What is usual on this forge."""
        return self.desk.forge(self.event.repo).manners

    @property
    def words(self) -> Words:
        """The bot's voice on this forge."""
        return Words.of(self.desk.settings, self.manners)

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
        if why.code in SILENT:
            return self.record(verb, accepted=False, code=why.code)
        answer = self.words.refused(
            self.task, event_id=self.event_id, login=self.comment.author.login, verb=verb, error=why
        )
        return self.record(verb, self.desk.store("answer", answer.encode()), accepted=False, code=why.code)


def carry_out(hearing: Hearing, command: Said) -> tuple[Draft, ...]:
    """Decide on a command and say what is to be recorded."""
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
        manners=hearing.manners,
    )
    refusal = refusal or _not_here(hearing, command)
    if refusal:
        return (hearing.refused(verb, refusal),)
    try:
        return ACT.get(command.verb, _plain)(hearing, command)
    except GatewrightError as error:
        return (hearing.refused(verb, error),)


def _not_here(hearing: Hearing, command: Command) -> Refused | None:
    """Keep words of a hidden comment hidden: what a model is told ends up where everybody reads."""
    if not hearing.comment.is_internal or not (command.argument.strip() or command.block.strip()):
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
            why=f"the one in force is {asked.digest[:SHOWN]}",
            fix=f"read the newest draft and approve {asked.digest[:SHOWN]}",
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
        _check_head(hearing)
        return
    shown = hearing.task.posted.get(f"gate.{gate.value}:{rev}", "")
    if not shown:
        raise Refused("GW-APPROVE-NOT-ASKED", f"the {gate.value} has not been shown yet", fix="wait for its comment")
    if not is_exact and shown.isdigit() and hearing.comment.id < int(shown):
        raise Refused(
            "GW-APPROVE-BEFORE", f"your comment is older than the {gate.value} in force", fix="read it, then approve"
        )


def _check_head(hearing: Hearing) -> None:
    judged = hearing.task.head
    if hearing.head != judged:
        raise Refused(
            "GW-APPROVE-OTHER-HEAD",
            f"this is about commit {hearing.head[:12] or 'unknown'}, and QA passed {judged[:12]}",
            why="somebody pushed to the branch, or the review was of an earlier state",
            fix=f"put the branch back to {judged[:12]}, or have the new commits judged with `fix`",
        )


def _edit(hearing: Hearing, command: Command) -> tuple[Draft, ...]:
    task, gate = hearing.task, hearing.task.state.gate
    if not command.block.strip():
        raise Refused("GW-EDIT-EMPTY", "there is no text to take over", fix="put the whole text into a fenced block")
    text = normalise(command.block)
    spec = parse_spec(text) if gate is Gate.SPEC else parse_spec(_text_of(hearing, task))
    if gate is Gate.PLAN:
        parse_plan(text, spec)
    digest = hashlib.sha256(text.encode()).hexdigest()
    ref = hearing.desk.store("text", text.encode())
    who = hearing.desk.person(hearing.event.repo, hearing.comment.author, "author")
    present = task.spec if gate is Gate.SPEC else task.plan
    rev = present.rev + 1 if present else 1
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
    if phase not in phases or not model or len(model) > MODEL_LIMIT or not model.isprintable() or " " in model:
        known = ", ".join(phases)
        raise Refused(
            "GW-MODEL-FORM", "that names no phase and model", fix=f"say <phase>=<model>, phase one of {known}"
        )
    profile = {p: hearing.task.profile.model(Phase(p)) for p in phases} | {phase: model}
    set_it = Draft("profile.set", kinds.ProfileSet(**profile), hearing.desk.service)
    return hearing.record("model", phase=phase, model=model), set_it


def _answer(hearing: Hearing, verb: Verb) -> str:
    if verb is Verb.HELP:
        return hearing.words.help(hearing.task, event_id=hearing.event_id)
    return hearing.words.status(hearing.task, event_id=hearing.event_id, now_ms=hearing.desk.clock())


def _reply(hearing: Hearing, command: Command) -> tuple[Draft, ...]:
    text = _answer(hearing, command.verb)
    return (hearing.record(command.verb.value, hearing.desk.store("answer", text.encode())),)


ACT: Final = {
    Verb.APPROVE: _approve,
    Verb.EDIT: _edit,
    Verb.REVISE: _revise,
    Verb.MODEL: _model,
    Verb.STATUS: _reply,
    Verb.HELP: _reply,
}
