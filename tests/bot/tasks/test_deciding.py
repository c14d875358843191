"""A ruling is recorded with its inputs, once; what fell with a comment may be said anew."""

from __future__ import annotations

from bot.audit.record import data_of
from bot.model.policy import GateRule, Policy
from bot.model.role import Role
from bot.model.state import Gate, State
from bot.policy.rules import judge
from bot.settings import Settings
from bot.tasks.deciding import AGAIN_MS, decide, is_due
from tests.bot.tasks.forge import MIRA
from tests.bot.tasks.office import Office

TWO = Settings(policy=Policy(spec=GateRule(quorum=2)))


async def test_a_ruling_that_says_nothing_new_is_not_written_twice(office: Office):
    office.desk.settings = TWO
    task = await office.at_spec_gate()
    await office.says(task, MIRA, "/approve")
    async with office.desk.shelf.open(task) as book:
        for _ in range(3):
            assert not await decide(office.desk, book, Gate.SPEC, "decision")
    assert (await office.kinds(task)).count("ruling") == 1


async def test_a_ruling_can_be_taken_again_from_its_record(office: Office):
    task = await office.at_plan_gate()
    now = await office.desk.shelf.read(task)
    made = [data_of(record) for record in await office.records(task) if record.kind == "ruling"]
    assert [one.case.moment for one in made] == ["decision", "execution"]
    assert [judge(now.policy, one.case) for one in made] == [one.ruling for one in made]


async def test_what_is_lost_between_approval_and_start_sends_the_task_back_with_one_line(office: Office):
    office.forge.roles[MIRA.id] = Role.WRITE
    task = await office.at_spec_gate()
    await office.says(task, MIRA, "/approve")
    async with office.desk.shelf.open(task) as book:
        assert await decide(office.desk, book, Gate.SPEC, "decision")
    office.forge.roles[MIRA.id] = Role.READ
    now = await office.converge(task)
    assert (now.state, now.running, now.let_pass(Gate.SPEC)) == (State.SPEC_REVIEW, None, None)
    assert len(office.forge.said("kind=voided")) == 1
    assert "planning" not in [attempt.step for attempt in now.attempts]


async def test_an_unsettled_gate_is_looked_at_again_after_a_while(office: Office):
    office.desk.settings = TWO
    task = await office.at_spec_gate()
    await office.says(task, MIRA, "/approve")
    now = await office.converge(task)
    assert not await is_due(office.desk, now)
    assert 0 < await office.redis.pttl(f"gw:ruled:{task}") <= AGAIN_MS
    await office.redis.delete(f"gw:ruled:{task}")
    assert await is_due(office.desk, now)


async def test_a_vote_whose_comment_is_gone_is_dropped_and_may_be_given_anew(office: Office):
    office.desk.settings = TWO
    task = await office.at_spec_gate()
    said = office.forge.says(MIRA, "/approve")
    await office.hears(task, office.commented(said))
    del office.forge.talk[said.id]
    now = await office.converge(task)
    assert now.votes(Gate.SPEC) == ()
    assert (await office.says(task, MIRA, "/approve")).heard[-1].accepted
