"""The review of an emergency, afterwards and by somebody else: who may say it, of what, and what is written down."""

from __future__ import annotations

import dataclasses

from msgspec.structs import replace

from bot.audit import kinds
from bot.audit.chain import Draft
from bot.audit.record import Ref, Who
from bot.model.command import Command
from bot.model.errors import Refused
from bot.model.gates import Approval, Glass
from bot.model.role import Role
from bot.policy.rules import TALLIES, barred, objection
from bot.tasks.ballot import Ballot
from bot.tasks.binding import revision
from bot.tasks.context import Context
from bot.tasks.desk import Desk
from bot.tasks.index import Index


async def reviewer(context: Context) -> Context:
    """Find out which emergencies this person may review: where policy would let them approve, read from the forge."""
    may: list[Glass] = []
    if not context.role.at_least(Role.WRITE):
        return context
    for glass in context.task.unreviewed:
        if context.comment.author.id in glass.breakers:
            continue
        ballot = Ballot(context.desk, context.task, glass.gate)
        case = await ballot.outline("decision")
        vote = replace(await ballot.vote(_candidate(context, glass, case.digest)), is_unchanged=True)  # was read anew
        code = objection(context.task.policy, case, vote)
        part = barred(context.task.policy, case).get(vote.person, "")
        context = dataclasses.replace(context, objection=code, barred_as=part) if code else context
        may += [] if code else [glass]
    return dataclasses.replace(context, may_review=tuple(may))


def _candidate(context: Context, glass: Glass, digest: str) -> Approval:
    """Spell the review as the vote that it is judged like."""
    said = context.comment
    return Approval(
        glass.gate, revision(context.task, glass.gate), digest, said.author, context.role.value, said.created_ms,
        context.event_id, "digest",
    )  # fmt: skip


def reviewed(context: Context, command: Command) -> tuple[Draft, ...]:
    """Take down that somebody else has reviewed the emergencies that let gates pass before they said so."""
    task, said = context.task, context.comment
    passed = [one for one in task.glass if one.at_ms // 1000 <= said.created_ms // 1000]
    waiting = [one for one in passed if not one.reviewer]
    if not waiting:
        raise _nothing(is_reviewed=bool(passed))
    if task.is_sealed:
        raise Refused(
            "GW-REVIEWED-SEALED",
            "the evidence of this task is sealed, and holds no review any more",
            why="nobody had reviewed the emergency in time",
            fix="keep your review where your rules want it; the verifier names the gap",
        )
    if all(said.author.id in one.breakers for one in waiting):
        raise Refused(
            "GW-REVIEWED-OWN",
            "you broke the glass yourself",
            why="an emergency is reviewed by somebody who did not",
            fix="ask somebody who may approve there",
        )
    found = [one for one in waiting if one in context.may_review]
    if not found:
        part = f" ({context.barred_as})" if context.barred_as else ""
        raise Refused(
            "GW-REVIEWED-WHO",
            "your review does not count",
            why=f"{TALLIES[context.objection]}{part}" if context.objection else "",
            fix="ask somebody who may approve there and did not break the glass",
        )
    words = command.argument.strip()
    refs = (context.desk.store("reason", words.encode()),) if words else ()
    who = context.desk.person(context.event.repo, said.author, "reviewer")
    return context.record("reviewed"), *[_draft(context, one, who, refs) for one in found]


def _draft(context: Context, glass: Glass, who: Who, refs: tuple[Ref, ...]) -> Draft:
    said = kinds.EmergencyReviewed(glass.gate.value, glass.digest, context.event_id, context.comment.created_ms)
    return Draft("emergency.reviewed", said, who, "forge", refs=refs)


def _nothing(*, is_reviewed: bool) -> Refused:
    if is_reviewed:
        return Refused("GW-REVIEWED-AGAIN", "the emergency has been reviewed already", fix="nothing to do")
    return Refused(
        "GW-REVIEWED-NOTHING",
        "there was no emergency to review when you said so",
        why="no gate of this task had been passed by breaking the glass",
        fix="say what an earlier task of this issue needs on its own pull or merge request",
    )


async def give_way(desk: Desk, index: Index, task_id: str) -> bool:
    """Free the issue of a task that waits for nothing but a review, which its change can hear; False for any other."""
    task = await desk.shelf.read(task_id)
    if not (task.is_closed and task.unreviewed):
        return False
    await index.release(task_id, task.origin.repo, task.origin.issue)
    return True
