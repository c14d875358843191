"""Whether GitHub holds a branch to our status: every way in which it seems to and does not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from bot.forges.github import GitHub
from bot.forges.protocol import Protection
from tests.bot.forges.conftest import raises
from tests.simulators.github import GitHubSimulator
from tests.simulators.github.people import Person

Bots = Callable[..., GitHub]
STATUS = "gatewright/change"
Judge = Callable[[], Any]


@pytest.fixture
def owner(github: GitHubSimulator) -> Person:
    repo = github.repository("octo/shop")
    github.install(repo)
    return github.user("octo", repo)


@pytest.fixture
def judged(github: GitHubSimulator, bot: Bots, owner: Person) -> Judge:
    forge = bot()
    return lambda: forge.protection(github.repo(owner.repo), "main", STATUS)


async def test_a_required_status_of_our_app_that_binds_everybody_holds(owner: Person, judged: Judge) -> None:
    owner.protects("main", STATUS)
    assert await judged() == Protection(is_enforced=True)


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"admins_too": False}, "lets administrators go around it"),
        ({"checks": {STATUS: None}}, "anybody who may write can post it"),
        ({"checks": {STATUS: 1}}, "anybody who may write can post it"),
        ({"checks": {STATUS: -1}}, "anybody who may write can post it"),
        ({"checks": {"gatewright/other": 1}}, f"does not require the status {STATUS}"),
        ({"checks": {STATUS.upper(): 1}}, f"does not require the status {STATUS}"),
        ({"checks": {}}, f"does not require the status {STATUS}"),
    ],
)
async def test_a_protection_with_a_gap_does_not(owner: Person, judged: Judge, more: dict[str, Any], why: str) -> None:
    owner.protects("main", STATUS, **more)
    seen = await judged()
    assert not seen.is_enforced
    assert why in seen.why
    assert "docs/github.md" in seen.why


async def test_the_protection_of_another_branch_does_not(owner: Person, judged: Judge) -> None:
    owner.protects("release", STATUS)
    owner.rules("release", STATUS)
    seen = await judged()
    assert (seen.is_enforced, "no ruleset requires" in seen.why) == (False, True)


async def test_a_branch_that_only_we_may_push_to_is_held(github: GitHubSimulator, owner: Person, judged: Judge) -> None:
    """Nobody else can merge, whatever statuses they post."""
    guard = owner.protects("main", STATUS, checks={}, only=[github.world.app_bot])
    assert (await judged()).is_enforced
    guard.only = [github.world.app_bot, owner.user]
    assert not (await judged()).is_enforced
    guard.only = []
    assert not (await judged()).is_enforced
    guard.only, guard.admins_too = [github.world.app_bot], False
    assert not (await judged()).is_enforced


async def test_with_a_token_only_such_a_branch_is_held(github: GitHubSimulator, bot: Bots, owner: Person) -> None:
    """A status of a token's owner is one that anybody could have posted."""
    machine = github.user("machine", owner.repo, "admin")
    forge, repo = bot(token=machine.makes_token().value), github.repo(owner.repo)
    guard = owner.protects("main", STATUS)
    owner.rules("main", STATUS)
    assert not (await forge.protection(repo, "main", STATUS)).is_enforced
    guard.only = [machine.user]
    assert (await forge.protection(repo, "main", STATUS)).is_enforced
    guard.only = [owner.user]
    assert not (await forge.protection(repo, "main", STATUS)).is_enforced


async def test_a_ruleset_holds_where_github_shows_that_nobody_bypasses_it(github: GitHubSimulator, bot: Bots) -> None:
    repo = github.repository("octo/shop")
    github.install(repo, permissions={"administration": "write"})
    owner = github.user("octo", repo)
    ruleset = owner.rules("main", STATUS)
    judged = lambda: bot().protection(github.repo(repo), "main", STATUS)
    assert (await judged()).is_enforced
    ruleset.bypass = [{"actor_id": 5, "actor_type": "RepositoryRole", "bypass_mode": "always"}]
    assert "has a list of those who may bypass it" in (await judged()).why
    ruleset.bypass, ruleset.checks = [], {STATUS: None}
    assert "anybody who may write can post it" in (await judged()).why
    ruleset.checks, ruleset.enforcement = {STATUS: github.world.app_id}, "evaluate"
    assert "no ruleset requires" in (await judged()).why
    owner.rules("main", STATUS)
    assert (await judged()).is_enforced, "a second one holds, whatever the first does"


async def test_a_ruleset_whose_bypass_is_not_shown_proves_nothing(owner: Person, judged: Judge) -> None:
    owner.rules("main", STATUS)
    seen = await judged()
    assert (seen.is_enforced, "does not show us who may bypass" in seen.why) == (False, True)


async def test_what_github_refuses_to_show_is_not_enforced_and_says_why(github: GitHubSimulator, bot: Bots) -> None:
    repo = github.repository("octo/shop")
    del github.install(repo).permissions["administration"]
    github.user("octo", repo).protects("main", STATUS)
    seen = await bot().protection(github.repo(repo), "main", STATUS)
    assert (seen.is_enforced, "GitHub forbids this" in seen.why) == (False, True)


async def test_a_failing_github_is_asked_again_and_never_believed(
    github: GitHubSimulator, owner: Person, judged: Judge
) -> None:
    owner.protects("main", STATUS)
    github.fault("GET", "/protection$", status=500, times=3)
    await raises("GW-FORGE-UNAVAILABLE", judged())
    github.fault("GET", "/protection$", status=404, message="Not Found")
    assert not (await judged()).is_enforced


async def test_an_old_server_that_names_no_app_proves_nothing(
    github: GitHubSimulator, owner: Person, judged: Judge
) -> None:
    body = b'{"enforce_admins": {"enabled": true}, "required_status_checks": {"contexts": ["gatewright/change"]}}'
    github.fault("GET", "/protection$", status=200, body=body)
    assert "anybody who may write can post it" in (await judged()).why
