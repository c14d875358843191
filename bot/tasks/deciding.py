"""Take a ruling and write it down, with everything it was taken on."""

from __future__ import annotations

from typing import Final

from bot.audit import kinds
from bot.audit.chain import Draft
from bot.model.ruling import Case, Moment, Ruling
from bot.model.state import Gate
from bot.model.task import Task
from bot.policy.rules import judge
from bot.tasks.ballot import Ballot
from bot.tasks.book import Book
from bot.tasks.desk import Desk

AGAIN_MS: Final = 300_000  # between looks at a gate that is not settled


async def decide(desk: Desk, book: Book, gate: Gate, moment: Moment) -> bool:
    """Rule on a gate and tell whether it passes; a ruling that says nothing new is not written twice."""
    case = await Ballot(desk, book.task, gate).case(moment)
    ruling = judge(book.task.policy, case)
    await desk.redis.set(_key(book.task), "1", px=AGAIN_MS)
    if moment == "execution" or _is_news(book.task, case, ruling):
        made = kinds.RulingMade(case, ruling)
        await book.write(Draft("ruling", made, desk.service, outcome="ok" if ruling.passed else "denied"))
        if ruling.is_emergency and ruling.passed:
            desk.log.error("gate.emergency", task=book.task.origin.task, gate=gate.value, people=case.breakers)
    await _drop_changed(desk, book, ruling, gate)
    return ruling.passed


async def _drop_changed(desk: Desk, book: Book, ruling: Ruling, gate: Gate) -> None:
    """Let go of votes whose comment was edited or deleted: they never count again; who gave them may say it anew."""
    if book.task.let_pass(gate) is not None:
        return  # it passed on others' votes too, and is ruled on as it stands
    changed = {tally.event_id for tally in ruling.tallies if tally.code == "changed"}
    for vote in book.task.votes(gate):
        if vote.event_id in changed:
            gone = kinds.ApprovalWithdrawn(gate.value, vote.digest, "withdrawn", vote.event_id)
            await book.write(Draft("approval.withdrawn", gone, desk.service, "forge"))


async def is_due(desk: Desk, task: Task) -> bool:
    """Tell whether an unsettled gate has rested long enough: roles, freezes and branch rules change without a word."""
    return task.state.gate is not None and not await desk.redis.exists(_key(task))


def _is_news(task: Task, case: Case, ruling: Ruling) -> bool:
    last = task.ruled.get(case.gate.value)
    votes = tuple(vote.event_id for vote in case.votes)
    missing = tuple(one.rule for one in ruling.outcomes if not one.ok)
    seen = (last.digest, last.events, last.passed, last.missing, last.breakers) if last else None
    return seen != (case.digest, votes, ruling.passed, missing, len(case.breakers))


def _key(task: Task) -> str:
    return f"gw:ruled:{task.origin.task}"
