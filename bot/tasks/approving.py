"""What a yes means: an approval is a vote for exactly one digest; nothing but a clear yes becomes one."""

from __future__ import annotations

from typing import Final

from bot.audit import kinds
from bot.audit.chain import Draft
from bot.model.approval import SHOWN, matches
from bot.model.command import Command
from bot.model.errors import Refused
from bot.model.gates import Request
from bot.model.state import Gate
from bot.policy.rules import TALLIES
from bot.tasks.ballot import sha256
from bot.tasks.binding import binding
from bot.tasks.context import Context
from bot.tasks.shown import comment_that_asks

DAY_MS: Final = 86_400_000
MOST_VOTES: Final = 40  # at one gate: a ruling holds them all
LEAST_REASON: Final = 12  # characters that say why the glass is broken
LEAST_COMMIT: Final = 12
FIXES: Final = {
    "unnamed": "say it with the digest that the comment shows",
    "native": "say `approve` with the digest in a comment",
    "role": "ask somebody with the role that policy asks for",
    "approver": "ask one of those whom the comment names",
    "four_eyes": "ask somebody who has had no part in this task",
    "late": "read what is asked now and approve that",
}


def approve(context: Context, command: Command) -> tuple[Draft, ...]:
    """Take a yes down as a vote, or say why it is none."""
    gate, words = _named(context, command)
    asked = _asked(context, gate)
    wanted = words[0] if words else ""
    if wanted and not matches(wanted, asked.digest):
        raise Refused(
            "GW-APPROVE-STALE",
            f"`{wanted[:64]}` is not the digest of the {gate.value} in force",
            why=f"the one in force is {asked.digest[:SHOWN]}",
            fix=f"read the newest draft and approve {asked.digest[:SHOWN]}",
        )
    if len(words) > 1:
        raise Refused(
            "GW-APPROVE-UNCLEAR",
            "an approval with more words may be one with conditions",
            fix="say what you want changed with `revise`, or `approve` alone on its line",
        )
    _check_order(context, gate, asked, is_exact=bool(wanted))
    _check_person(context, gate, asked)
    who = context.desk.person(context.event.repo, context.comment.author, "approver")
    vote = kinds.Approval(
        what=gate.value,
        digest=asked.digest,
        rev=asked.rev,
        event_id=context.event_id,
        forge_ts=context.comment.created_ms,
        permission=context.role.value,
        method=method(context, command),
        comment_sha256="" if context.is_native else sha256(context.comment.body),
    )
    return context.record("approve"), Draft("approval", vote, who, "forge")


def method(context: Context, command: Command) -> str:
    """Name how a yes was said; a review is of one commit, a bare approval of whatever is there."""
    if context.is_native:
        return "review" if context.manners.native_names_commit else "native"
    return "digest" if digests(command) else "shown"


def digests(command: Command) -> list[str]:
    """List what `approve` names besides its gate."""
    words = command.argument.split()
    return words[1:] if words and words[0].lower() in list(Gate) else words


def emergency(context: Context, command: Command) -> tuple[Draft, ...]:
    """Take down that one of the people whom policy names breaks the glass, for exactly what is asked now."""
    gate = context.task.state.gate
    if gate is None:
        raise Refused("GW-APPROVE-NOTHING", "nothing waits for an approval now")
    policy = context.task.policy.emergency
    if not context.breaks_glass:
        raise Refused(
            "GW-EMERGENCY-WHO",
            "you are not among those who may break the glass",
            why="policy names nobody" if not policy.people else "policy names others",
            fix="ask two of those whom policy names (`gatewright policy show`)",
        )
    asked = _asked(context, gate)
    wanted, _, reason = command.argument.strip().partition(" ")
    if not matches(wanted, asked.digest):
        raise Refused(
            "GW-EMERGENCY-DIGEST",
            "say for exactly what the glass is broken",
            fix=f"give the digest {asked.digest[:SHOWN]} and then the reason",
        )
    if len(reason.strip()) < LEAST_REASON:
        raise Refused(
            "GW-EMERGENCY-REASON",
            "an emergency needs its reason in words",
            why="it is reviewed afterwards, by somebody who was not there",
            fix="say after the digest what happens if this waits",
        )
    due = context.desk.clock() + policy.review_days * DAY_MS
    who = context.desk.person(context.event.repo, context.comment.author, "approver")
    broken = kinds.Emergency(gate.value, asked.digest, context.event_id, due)
    ref = context.desk.store("reason", reason.strip().encode())
    return context.record("emergency"), Draft("emergency", broken, who, "forge", refs=(ref,))


def release(context: Context, command: Command) -> tuple[Draft, ...]:
    """Let CI run on exactly one commit that we pushed without starting it."""
    task = context.task
    wanted = command.argument.strip().lower()
    if task.policy.ci != "hold":
        raise Refused("GW-CI-NOT-HELD", "CI is not held back here", why="policy.ci is `run`")
    if len(wanted) < LEAST_COMMIT or not task.head.startswith(wanted):
        raise Refused(
            "GW-CI-COMMIT",
            f"`{wanted[:64]}` is not the commit that stands on the branch now",
            why=f"that one is {task.head[:SHOWN]}",
            fix=f"read its changes, then name {task.head[:SHOWN]}",
        )
    who = context.desk.person(context.event.repo, context.comment.author, "approver")
    return context.record("ci"), Draft("ci.released", kinds.CiReleased(task.head, context.event_id), who, "forge")


def _named(context: Context, command: Command) -> tuple[Gate, list[str]]:
    """Find out which gate is meant; scope findings are approved by their name alone."""
    gate = context.task.state.gate
    if gate is None:
        raise Refused("GW-APPROVE-NOTHING", "nothing waits for an approval now")
    words = command.argument.split()
    named = words[0].lower() if words and words[0].lower() in list(Gate) else ""
    if named and named != gate:
        raise Refused("GW-APPROVE-GATE", f"the {named} does not wait for an approval now", why=f"the {gate.value} does")
    if gate is Gate.SCOPE and not named:
        raise Refused(
            "GW-APPROVE-SCOPE",
            "what waits now are scope findings, not a draft",
            fix="read them, then say `approve scope`",
        )
    if context.is_unclear:
        raise Refused(
            "GW-APPROVE-UNCLEAR",
            "the same comment approves and asks for something else",
            fix="say the one or the other, in a comment of its own",
        )
    return gate, words[1:] if named else words


def _asked(context: Context, gate: Gate) -> Request:
    asked = context.task.asked(gate)
    present = binding(context.task, gate, context.desk.settings.server.instance).digest()
    if asked is None or asked.digest != present or gate in context.task.reask:
        raise Refused(
            "GW-APPROVE-NOT-ASKED", f"the {gate.value} has not been shown yet", fix="wait for its comment, then approve"
        )
    return asked


def _check_order(context: Context, gate: Gate, asked: Request, *, is_exact: bool) -> None:
    """Refuse an approval made before what is asked now was shown; ids on a forge grow, clocks may disagree."""
    task, said = context.task, context.comment
    if gate is Gate.CHANGE:
        _check_head(context)
        shown_ms, is_before = asked.at_ms, False
    else:
        shown, is_edited = comment_that_asks(task, gate, asked.rev)
        if not shown:
            raise Refused("GW-APPROVE-NOT-ASKED", f"the {gate.value} is not shown yet", fix="wait for its comment")
        shown_ms = task.shown_ms.get(f"gate.{gate.value}", 0) if is_edited else 0
        is_before = shown.isdigit() and said.id < int(shown)
    if not is_exact and (is_before or said.created_ms // 1000 < shown_ms // 1000):
        raise Refused(
            "GW-APPROVE-BEFORE", f"your comment is older than the {gate.value} in force", fix="read it, then approve"
        )


def _check_head(context: Context) -> None:
    judged = context.task.head
    if context.head != judged:
        raise Refused(
            "GW-APPROVE-OTHER-HEAD",
            f"this is about commit {context.head[:12] or 'unknown'}, and QA passed {judged[:12]}",
            why="somebody pushed to the branch, or the review was of an earlier state",
            fix=f"wait until QA has judged the newest commit, or put the branch back to {judged[:12]}",
        )


def _check_person(context: Context, gate: Gate, asked: Request) -> None:
    if any(
        vote.actor.id == context.comment.author.id and vote.digest == asked.digest for vote in context.task.votes(gate)
    ):
        raise Refused("GW-APPROVE-AGAIN", "your approval of this is counted already", fix="nothing to do")
    if len(context.task.votes(gate)) >= MOST_VOTES:
        raise Refused("GW-APPROVE-MANY", f"{MOST_VOTES} people have approved already", fix="nothing to do")
    if context.objection:
        part = f" ({context.barred_as})" if context.barred_as else ""
        raise Refused(
            f"GW-APPROVE-{context.objection.upper().replace('_', '-')}",
            f"your approval of the {gate.value} does not count",
            why=f"{TALLIES[context.objection]}{part}",
            fix=FIXES.get(context.objection, "say it again in a new comment"),
        )
