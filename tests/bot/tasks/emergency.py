"""A task whose spec was let pass by breaking the glass, while it runs and when only its review is awaited."""

from __future__ import annotations

from bot.model.policy import BreakGlass, GateRule, Policy
from bot.model.state import Gate, State
from bot.settings import Settings
from tests.bot.tasks.forge import LENA, MIRA
from tests.bot.tasks.office import Office

BREAK = BreakGlass(people=("user:7", "user:11"), review_days=5)
POLICY = Policy(spec=GateRule(quorum=3, approvers=("user:12",), not_by=("labeller",)), emergency=BREAK)


async def broken(office: Office, policy: Policy = POLICY) -> str:
    """Mira and Lena break the glass at the spec gate; it passes, and planning begins."""
    office.desk.settings = Settings(policy=policy)
    task = await office.at_spec_gate()
    digest = (await office.desk.shelf.read(task)).asked(Gate.SPEC).digest
    for who in (MIRA, LENA):
        await office.says(task, who, f"/emergency {digest[:12]} production is down, INC-4711")
    now = await office.converge(task)
    assert (now.state, len(now.unreviewed)) == (State.PLAN, 1)
    return task


async def ended(office: Office, policy: Policy = POLICY) -> str:
    """The same, and the task is cancelled: all is said, nothing runs."""
    task = await broken(office, policy)
    await office.says(task, MIRA, "/cancel")
    for _ in range(3):
        await office.converge(task)
    return task
