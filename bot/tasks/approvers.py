"""Who may approve at a gate, in words for people."""

from __future__ import annotations

from bot.model.state import Gate
from bot.model.task import Task
from bot.policy.rules import barred
from bot.reports.tables import table
from bot.reports.views import Approvers
from bot.tasks.ballot import Ballot
from bot.tasks.desk import Desk
from bot.tasks.names import logins


async def approvers(desk: Desk, task: Task, gate: Gate) -> Approvers:
    """Say how many approvals are needed, from whom, and from whom not."""
    rule = task.policy.rule(gate)
    case = await Ballot(desk, task, gate).outline("decision", groups=())
    kept_apart = barred(task.policy, case)
    names = await logins(desk.redis, task.origin.repo, kept_apart)
    passed = task.let_pass(gate)
    counted = set(passed.people if passed else [vote.actor.id for vote in task.votes(gate)])
    given = await logins(desk.redis, task.origin.repo, counted)
    return Approvers(
        needed=rule.quorum,
        who=", ".join(rule.approvers),
        barred=tuple(
            f"{names[person]}, {table('parts')[part]['words']}" for person, part in kept_apart.items() if person
        ),
        given=tuple(sorted(given.values())),
    )
