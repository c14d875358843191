from __future__ import annotations

from bot.model.policy import GateRule, Policy
from bot.model.state import Gate
from bot.settings import Settings
from bot.tasks.approvers import approvers
from tests.bot.tasks.forge import LENA, MIRA
from tests.bot.tasks.office import Office


async def test_people_are_told_how_many_who_and_who_not(office: Office):
    rule = GateRule(approvers=("user:7", "user:11"), quorum=2, not_by=("labeller", "author"))
    office.desk.settings = Settings(policy=Policy(spec=rule))
    task = await office.at_spec_gate()
    await office.says(task, MIRA, "/approve")
    said = await approvers(office.desk, await office.desk.shelf.read(task), Gate.SPEC)
    assert (said.needed, said.who, said.given) == (2, "user:7, user:11", ("mira",))
    assert [line.partition(",")[0] for line in said.barred] == ["tom"]


async def test_who_was_counted_is_named_once_it_passed(office: Office):
    office.desk.settings = Settings(policy=Policy(change=GateRule(not_by=("spec",))))
    task = await office.at_change_gate()
    number = (await office.desk.shelf.read(task)).pull.number
    await office.says(task, LENA, "/approve", number, on_change=True)
    said = await approvers(office.desk, await office.converge(task), Gate.CHANGE)
    assert (said.given, [line.partition(",")[0] for line in said.barred]) == (("lena",), ["mira"])
