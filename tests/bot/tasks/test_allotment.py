"""Model and queue are the repository's to choose within what policy and team allow."""

from __future__ import annotations

import pytest

from bot.model.errors import Refused
from bot.model.policy import Policy
from bot.model.state import State, Step
from bot.model.team import Team
from bot.settings import ProfileTable, ProviderTable, Settings
from bot.tasks.allotment import allotted
from bot.tasks.lookout import look
from tests.bot.tasks.forge import MIRA
from tests.bot.tasks.office import Office

TEAM = Team(projects=("pay/*",), queues=("pay", "runner.secure-zone"), models=("son*", "opus"))


async def test_a_model_that_policy_does_not_allow_blocks_with_the_way_out(office: Office):
    office.desk.settings = Settings(policy=Policy(allowed_models=("sonnet",)))
    task = await office.at_spec_gate()
    await office.says(task, MIRA, "/approve")
    now = await office.converge(task)
    assert (now.state, now.blocked_code) == (State.BLOCKED, "GW-MODEL-POLICY")
    await office.says(task, MIRA, "/model planning=sonnet")
    await office.says(task, MIRA, "/retry")
    assert (await office.converge(task)).state is State.SPEC_REVIEW, "another profile is approved anew"


@pytest.mark.parametrize(
    ("policy", "model", "code", "words"),
    [
        (Policy(), "nonsense", "GW-MODEL-FORM", "the forms are"),
        (Policy(require_tier="enterprise-certified"), "openai:x", "GW-MODEL-TIER", "these would do: sonnet"),
        (Policy(residency=("eu",)), "openai:x", "GW-MODEL-RESIDENCY", "these would do: sonnet"),
    ],
)
async def test_no_attempt_begins_with_a_model_that_leads_nowhere_or_where_it_may_not(
    office: Office, policy: Policy, model: str, code: str, words: str
):
    claude = {"claude": ProviderTable(residency="eu")}
    office.desk.settings = Settings(policy=policy, profile=ProfileTable(planning=model), providers=claude)
    task = await office.at_spec_gate()
    await office.says(task, MIRA, "/approve")
    now = await office.converge(task)
    assert (now.state, now.blocked_code, len(now.attempts)) == (State.BLOCKED, code, 1)
    said = office.desk.blobs.get(now.blocked_blob).decode()
    assert words in said
    assert "(for planning)" in said


async def test_steps_without_a_model_need_none(office: Office):
    office.desk.settings = Settings(policy=Policy(allowed_models=("nothing-*",)), teams={})
    task = await office.desk.shelf.read(await office_task(office))
    assert await allotted(office.desk, task, Step.PUBLISH)
    with pytest.raises(Refused):
        await allotted(office.desk, task, Step.QA)


async def office_task(office: Office) -> str:
    policy = office.desk.settings
    office.desk.settings = Settings()
    task = await office.opened()
    office.desk.settings = policy
    office.forge.files[".gatewright.toml"] = b'[policy]\nallowed_models = ["nothing-*"]\n'
    await office.ends(task, "fail", code="GW-TEST")
    async with office.desk.shelf.open(task) as book:
        await look(office.desk, book)
    return task


async def test_a_repositorys_file_chooses_among_its_teams_queues(office: Office):
    office.desk.settings = Settings(teams={"pay": TEAM})
    task = await office.desk.shelf.read(await office.opened())
    assert await allotted(office.desk, task, Step.SPEC) == "pay"
    office.forge.files[".gatewright.toml"] = b'runner = "secure-zone"\n'
    assert await allotted(office.desk, task, Step.SPEC) == "runner.secure-zone"
    for content, code in ((b'runner = "elsewhere"\n', "GW-TEAM-QUEUE"), (b"runner = [", "GW-POLICY-FILE")):
        office.forge.files[".gatewright.toml"] = content
        with pytest.raises(Refused) as caught:
            await allotted(office.desk, task, Step.SPEC)
        assert caught.value.code == code


async def test_a_teams_models_hold_for_every_phase(office: Office):
    office.desk.settings = Settings(teams={"pay": Team(projects=("pay/*",), models=("sonnet",))})
    task = await office.desk.shelf.read(await office.opened())
    assert await allotted(office.desk, task, Step.CODING)
    with pytest.raises(Refused):
        await allotted(office.desk, task, Step.PLANNING)
