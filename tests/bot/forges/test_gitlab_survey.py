"""What a GitLab shows its bot: token, role and webhooks, each with what to do where something is amiss."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from bot.forges.errors import AUTH, NOT_FOUND
from bot.forges.gitlab_survey import EVENTS, Remark, Survey
from tests.bot.forges.conftest import QUICK_GITLAB, raises
from tests.simulators.gitlab import GitLabSimulator
from tests.simulators.gitlab.people import Person
from tests.simulators.gitlab.world import Traits

HERE = "https://gw.bank.example"
LOOK = "Settings -> Webhooks"
Surveys = Callable[..., Survey]


@pytest.fixture
async def survey(gitlab: GitLabSimulator, dev: Person) -> AsyncIterator[Surveys]:
    """Make surveys with a project access token each, closed at the end."""
    made: list[Survey] = []

    def make(level: str = "developer", *, public_url: str = HERE, **token: Any) -> Survey:
        _, minted = gitlab.access_token(dev.project, level, **token)
        table = gitlab.table(token=minted.value, webhook_tokens=("t",))
        made.append(Survey(table, public_url=public_url, pace=QUICK_GITLAB))
        return made[-1]

    yield make
    for each in made:
        await each.close()


async def looked(survey: Survey, dev: Person) -> tuple[Remark, Remark]:
    role, hook = await survey.project(dev.project.full_path)
    return role, hook


async def test_a_good_token_is_one_line(gitlab: GitLabSimulator, survey: Surveys) -> None:
    (about,) = await survey().instance()
    assert not about.fix
    assert about.words.startswith(f"{gitlab.url} 18.9.1 as project_")
    assert about.words.endswith("scopes api, write_repository, 1 webhook and 0 signing token(s)")


async def test_a_token_that_may_not_write_is_a_fault(survey: Surveys) -> None:
    _, fault = await survey(scopes=("read_api",)).instance()
    assert fault.is_fault
    assert "lacks the scope api" in fault.words


async def test_a_token_that_ends_soon_is_told_in_time(survey: Surveys) -> None:
    _, soon = await survey(life=3 * 86_400).instance()
    assert "the token ends on" in soon.words
    assert soon.fix
    assert not soon.is_fault
    assert len(await survey(life=90 * 86_400).instance()) == 1


async def test_a_revoked_token_says_so(gitlab: GitLabSimulator, dev: Person) -> None:
    _, token = gitlab.access_token(dev.project)
    gitlab.revoke(token)
    survey = Survey(gitlab.table(token=token.value), pace=QUICK_GITLAB)
    await raises(AUTH, survey.instance())
    await survey.close()


async def test_an_old_gitlab_that_shows_no_token_is_no_fault(gitlab: GitLabSimulator, survey: Surveys) -> None:
    gitlab.fault("GET", "/forge/api/v4/personal_access_tokens/self", status=404, body=b'{"error":"404 Not Found"}')
    (about,) = await survey().instance()
    assert "scopes not shown" in about.words


async def test_a_developer_sees_its_role_and_is_told_what_it_could_not_check(survey: Surveys, dev: Person) -> None:
    role, hook = await looked(survey(), dev)
    assert (role.words, role.fix) == ("pay/core/shop.api: Developer", "")
    assert hook.words == "webhooks were not checked"
    assert LOOK in hook.fix
    assert f"{HERE}/webhooks/gitlab" in hook.fix


@pytest.mark.parametrize(("level", "name"), [("reporter", "Reporter"), ("guest", "Guest")])
async def test_a_weaker_role_is_a_fault(survey: Surveys, dev: Person, level: str, name: str) -> None:
    role, _ = await looked(survey(level), dev)
    assert role.words.endswith(name)
    assert role.is_fault
    assert "Developer" in role.fix


async def test_a_project_that_is_not_shown_is_an_error(survey: Surveys) -> None:
    await raises(NOT_FOUND, survey().project("pay/other"))


async def test_a_webhook_with_the_needed_events_is_well(gitlab: GitLabSimulator, survey: Surveys, dev: Person) -> None:
    gitlab.hook("https://elsewhere.example/webhooks/gitlab", project=dev.project, events=())
    gitlab.hook(f"{HERE}/webhooks/gitlab", project=dev.project, events=EVENTS)
    _, hook = await looked(survey("maintainer"), dev)
    assert not hook.fix
    assert "Comments, Issues events, Merge request events" in hook.words


@pytest.mark.parametrize("absent", list(EVENTS))
async def test_an_event_that_is_not_ticked_is_a_fault(
    gitlab: GitLabSimulator, survey: Surveys, dev: Person, absent: str
) -> None:
    gitlab.hook(f"{HERE}/webhooks/gitlab", project=dev.project, events=[flag for flag in EVENTS if flag != absent])
    _, hook = await looked(survey("maintainer", public_url=""), dev)
    assert hook.is_fault
    assert hook.why == f"not ticked: {EVENTS[absent]}"


async def test_a_webhook_that_gitlab_switched_off_is_a_fault(
    gitlab: GitLabSimulator, survey: Surveys, dev: Person
) -> None:
    made = gitlab.hook(f"{HERE}/webhooks/gitlab", project=dev.project)
    gitlab.do(lambda: setattr(made, "disabled", True))
    _, hook = await looked(survey("maintainer"), dev)
    assert hook.is_fault
    assert "is disabled" in hook.words
    assert "Test" in hook.fix


async def test_no_webhook_may_be_one_of_the_group(gitlab: GitLabSimulator, survey: Surveys, dev: Person) -> None:
    gitlab.hook("https://ci.bank.example/hook", project=dev.project)
    _, hook = await looked(survey("maintainer"), dev)
    assert "no webhook of the project leads here" in hook.words
    assert "group" in hook.why
    assert not hook.is_fault


async def test_the_version_is_the_one_of_that_instance(gitlab: GitLabSimulator, survey: Surveys) -> None:
    gitlab.do(lambda: setattr(gitlab.traits, "version", Traits.old().version))
    (about,) = await survey().instance()
    assert f"{gitlab.url} 14.10.5 as" in about.words
