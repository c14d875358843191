"""What could go around the gates of a project, each with what to do about it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from bot.forges.gitlab_exposure import Exposure
from bot.forges.gitlab_survey import Remark
from tests.bot.forges.conftest import QUICK_GITLAB
from tests.simulators.gitlab import GitLabSimulator
from tests.simulators.gitlab.people import Person

Look = Callable[..., Any]


@pytest.fixture
async def look(gitlab: GitLabSimulator, dev: Person) -> AsyncIterator[Look]:
    """Look with a project access token of a level."""
    made: list[Exposure] = []

    async def at(level: str = "maintainer", *, runs_ci: bool = True, value: str = "", **token: Any) -> list[Remark]:
        value = value or gitlab.access_token(dev.project, level, **token)[1].value
        made.append(Exposure(gitlab.table(token=value), runs_ci=runs_ci, pace=QUICK_GITLAB))
        return await made[-1].project(dev.project.full_path)

    yield at
    for each in made:
        await each.close()


def has(gitlab: GitLabSimulator, dev: Person, **variables: bool) -> None:
    gitlab.do(lambda: dev.project.variables.update(variables))


async def test_open_variables_are_named_and_their_values_are_not(gitlab, dev, look) -> None:
    has(gitlab, dev, DEPLOY_KEY=False, SAFE=True)
    (found,) = await look()
    assert found.words == "1 CI variable(s) are open: DEPLOY_KEY"
    assert "before anybody has approved" in found.why
    assert 'ci = "hold"' in found.fix
    assert "hush" not in repr(found)


async def test_protected_variables_and_held_ci_are_well(gitlab, dev, look) -> None:
    has(gitlab, dev, SAFE=True)
    (found,) = await look()
    assert not found.fix
    has(gitlab, dev, DEPLOY_KEY=False)
    assert await look(runs_ci=False) == []


async def test_what_a_developer_is_not_shown_is_said(gitlab, dev, look) -> None:
    has(gitlab, dev, DEPLOY_KEY=False)
    (found,) = await look("developer")
    assert found.words == "CI variables were not checked"
    assert found.fix


async def test_many_variables_are_counted(gitlab, dev, look) -> None:
    has(gitlab, dev, **{f"KEY_{number}": False for number in range(9)})
    (found,) = await look()
    assert found.words.endswith("KEY_4 and 4 more")


@pytest.mark.parametrize("rule", ["gatewright/*", "*", "gatewright/1*"])
async def test_our_branches_under_a_rule_that_keeps_us_out_are_a_fault(gitlab, dev, look, rule) -> None:
    gitlab.do(lambda: dev.project.protected.update({rule: (40, 40)}))
    (found,) = await look("developer", runs_ci=False)
    assert found.is_fault
    assert rule in found.words
    assert "push" in found.fix


async def test_our_branches_under_a_rule_that_lets_us_in_expose_protected_variables(gitlab, dev, look) -> None:
    gitlab.do(lambda: dev.project.protected.update({"gatewright/*": (30, 40)}))
    has(gitlab, dev, SAFE=True)
    branches, variables = await look()
    assert not branches.is_fault
    assert "protected variables" in branches.why
    assert "SAFE" in variables.words


async def test_a_rule_that_admits_our_account_by_name_lets_us_in(gitlab, dev, look) -> None:
    bot, token = gitlab.access_token(dev.project, "developer")
    gitlab.do(lambda: dev.project.protected.update({"gatewright/*": (0, 0)}))
    (shut,) = await look(value=token.value, runs_ci=False)
    gitlab.do(lambda: dev.project.admitted.update({"gatewright/*": (frozenset({bot.user.id}), frozenset())}))
    (open_,) = await look(value=token.value, runs_ci=False)
    assert (shut.is_fault, open_.is_fault) == (True, False)


async def test_other_rules_are_no_business_of_ours(gitlab, dev, look) -> None:
    gitlab.do(lambda: dev.project.protected.update({"release/*": (40, 40), "gatewright": (40, 40)}))
    assert await look("developer", runs_ci=False) == []


async def test_an_account_that_a_group_shares_is_told(gitlab, dev, look) -> None:
    (found,) = await look("developer", runs_ci=False, within=dev.project.group)
    assert "belongs to a whole group" in found.words
    assert not found.is_fault


async def test_an_account_of_a_person_is_told(gitlab, dev, look) -> None:
    token = gitlab.do(lambda: gitlab.world.mint(dev.user, frozenset({"api"})))
    (found,) = await look(value=token.value, runs_ci=False)
    assert f"@{dev.user.username} is a person's account" in found.words
