"""Members of groups, and branches that nobody but the bot may merge into."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta

import pytest

from bot.forges.gitlab import GitLab
from bot.forges.gitlab_gates import ProtectedBranch
from bot.forges.protocol import Protection
from bot.model.event import AccountKind, Actor
from tests.bot.forges.conftest import QUICK_GITLAB as QUICK
from tests.bot.forges.conftest import raises
from tests.simulators.gitlab import GitLabSimulator
from tests.simulators.gitlab.people import Person

Bots = Callable[..., GitLab]
DAY_MS = 86_400_000


@pytest.fixture
async def bot(gitlab: GitLabSimulator, gitlab_bot: Bots, dev: Person) -> Person:
    """The account of the bot that the tests ask with."""
    forge = gitlab_bot(dev.project)
    return Person(gitlab, gitlab.world.users[(await forge.me()).id], dev.project)


@pytest.fixture
async def forge(gitlab: GitLabSimulator, bot: Person) -> AsyncIterator[GitLab]:
    made = GitLab(gitlab.table(token=bot.makes_token().value), pace=QUICK)
    yield made
    await made.close()


async def test_a_member_since_a_day(gitlab: GitLabSimulator, forge: GitLab, dev: Person) -> None:
    """Of the group named, by number or path, or of one above it."""
    repo, who = gitlab.repo(dev.project), Actor(dev.id, "mira")
    group = dev.joins("pay/core", days_ago=30)
    now = datetime.now(UTC).timestamp() * 1000
    for name in (str(group.id), "pay/core", "/pay/core/"):
        seen = await forge.membership(repo, name, who)
        assert seen is not None
        assert abs(now - seen.since_ms - 30 * DAY_MS) < DAY_MS
    assert await forge.membership(repo, "pay", who) is None
    tom = gitlab.user("tom", dev.project, "developer", on=gitlab.group("pay"))
    assert await forge.membership(repo, "pay/core", Actor(tom.id, "tom")) is not None


async def test_who_is_not_or_no_longer_a_member(gitlab: GitLabSimulator, forge: GitLab, dev: Person) -> None:
    repo, who = gitlab.repo(dev.project), Actor(dev.id, "mira")
    today = datetime.now(UTC).date()
    assert await forge.membership(repo, "pay/core", who) is None
    dev.joins("pay/core", until=today + timedelta(days=1))
    assert await forge.membership(repo, "pay/core", who) is not None
    for ended in (today, today - timedelta(days=1)):
        dev.joins("pay/core", until=ended)
        assert await forge.membership(repo, "pay/core", who) is None, "GitLab ends it as the day begins"
    dev.joins("pay/core", until=today + timedelta(days=9))
    assert await forge.membership(repo, "pay/core", Actor(0, "ghost", AccountKind.UNKNOWN)) is None
    assert await forge.membership(repo, "pay/core", Actor(dev.id + 5_000, "mira")) is None
    dev.is_blocked()
    assert await forge.membership(repo, "pay/core", who) is None


async def test_a_group_that_the_bot_does_not_see_has_no_members(
    gitlab: GitLabSimulator, forge: GitLab, dev: Person, bot: Person
) -> None:
    repo, who = gitlab.repo(dev.project), Actor(dev.id, "mira")
    group = dev.joins("security/leads")
    assert await forge.membership(repo, "security/leads", who) is None
    bot.joins(group)
    assert await forge.membership(repo, "security/leads", who) is not None


@pytest.mark.parametrize(
    "told",
    [
        b'{"id":%d,"access_level":30,"state":"active","membership_state":"awaiting"}',
        b'{"id":%d,"access_level":30,"state":"active","expires_at":"soon"}',
        b'{"id":%d,"access_level":30,"state":"blocked"}',
        b'{"id":%d,"access_level":30}',
    ],
)
async def test_a_membership_that_is_in_doubt_is_none(
    gitlab: GitLabSimulator, forge: GitLab, dev: Person, told: bytes
) -> None:
    repo = gitlab.repo(dev.project)
    json = {"content-type": "application/json"}
    gitlab.fault("GET", "/groups/", status=200, body=told % dev.id, headers=json)
    assert await forge.membership(repo, "pay/core", Actor(dev.id, "mira")) is None
    gitlab.fault("GET", "/groups/", status=200, body=told % (dev.id + 1), headers=json)
    assert await forge.membership(repo, "pay/core", Actor(dev.id, "mira")) is None


async def test_an_error_is_no_answer_about_members(gitlab: GitLabSimulator, forge: GitLab, dev: Person) -> None:
    repo = gitlab.repo(dev.project)
    dev.joins("pay/core")
    gitlab.fault("GET", "/groups/", status=403)
    await raises("GW-FORGE-FORBIDDEN", forge.membership(repo, "pay/core", Actor(dev.id, "mira")))
    gitlab.fault("GET", "/groups/", status=500, times=3)
    await raises("GW-FORGE-UNAVAILABLE", forge.membership(repo, "pay/core", Actor(dev.id, "mira")))


async def test_a_role_that_ends_is_over_on_its_day(gitlab: GitLabSimulator, forge: GitLab, dev: Person) -> None:
    body = b'{"id":%d,"access_level":40,"state":"active","expires_at":"%s"}'
    today = datetime.now(UTC).date()
    for day, role in ((today, "none"), (today + timedelta(days=1), "maintain")):
        told = body % (dev.id, day.isoformat().encode())
        gitlab.fault("GET", "/members/all/", status=200, body=told, headers={"content-type": "application/json"})
        assert await forge.role(gitlab.repo(dev.project), Actor(dev.id, "mira")) == role


async def held(gitlab: GitLabSimulator, forge: GitLab, dev: Person) -> Protection:
    return await forge.protection(gitlab.repo(dev.project), "main", "gatewright/change")


async def test_a_branch_that_only_the_bot_may_merge_into_is_held(
    gitlab: GitLabSimulator, forge: GitLab, dev: Person, bot: Person
) -> None:
    first = await held(gitlab, forge, dev)
    assert not first.is_enforced, "maintainers may merge by default"
    assert "others than the bot may merge into main" in first.why
    assert "deploy/" in first.why
    dev.protects("main", only=[bot.id])
    assert await held(gitlab, forge, dev) == Protection(is_enforced=True)
    dev.protects("main")  # no one, by no means
    assert (await held(gitlab, forge, dev)).is_enforced


@pytest.mark.parametrize("more", [{"push": 40}, {"merge": 30}, {"merge": 60}, {"push": 30, "merge": 30}])
async def test_any_role_beside_the_bot_breaks_the_hold(
    gitlab: GitLabSimulator, forge: GitLab, dev: Person, bot: Person, more: dict[str, int]
) -> None:
    dev.protects("main", only=[bot.id], **more)
    seen = await held(gitlab, forge, dev)
    assert not seen.is_enforced
    assert ("push to" in seen.why) is ("push" in more)


async def test_another_person_beside_the_bot_breaks_the_hold(
    gitlab: GitLabSimulator, forge: GitLab, dev: Person, bot: Person
) -> None:
    dev.protects("main", only=[bot.id, dev.id])
    assert not (await held(gitlab, forge, dev)).is_enforced


async def test_of_several_rules_the_weakest_decides(
    gitlab: GitLabSimulator, forge: GitLab, dev: Person, bot: Person
) -> None:
    """So GitLab has it: what one of them allows is allowed."""
    dev.protects("main", only=[bot.id])
    dev.protects("release/*", push=30, merge=30)
    assert (await held(gitlab, forge, dev)).is_enforced
    dev.protects("ma*", merge=40)
    seen = await held(gitlab, forge, dev)
    assert not seen.is_enforced
    assert "may merge into ma*" in seen.why


async def test_a_pattern_alone_holds_as_well(gitlab: GitLabSimulator, forge: GitLab, dev: Person, bot: Person) -> None:
    gitlab.do(dev.project.protected.clear)
    unprotected = await held(gitlab, forge, dev)
    assert not unprotected.is_enforced
    assert "main is not protected" in unprotected.why
    dev.protects("m*n", only=[bot.id])
    assert (await held(gitlab, forge, dev)).is_enforced


async def test_a_rule_behind_the_first_page_counts(
    gitlab: GitLabSimulator, forge: GitLab, dev: Person, bot: Person
) -> None:
    dev.protects("main", only=[bot.id])
    for number in range(120):
        dev.protects(f"b{number}", merge=30)
    dev.protects("*", merge=30)
    assert not (await held(gitlab, forge, dev)).is_enforced


@pytest.mark.parametrize("status", [403, 404])
async def test_what_is_not_shown_is_not_held(
    gitlab: GitLabSimulator, forge: GitLab, dev: Person, bot: Person, status: int
) -> None:
    dev.protects("main", only=[bot.id])
    gitlab.fault("GET", "/protected_branches", status=status)
    seen = await held(gitlab, forge, dev)
    assert not seen.is_enforced
    assert "does not show" in seen.why


@pytest.mark.parametrize(
    "levels",
    [
        b"[]",
        b'[{"access_level":0,"group_id":9}]',
        b'[{"access_level":0,"deploy_key_id":9}]',
        b'[{"access_level":0,"member_role_id":9}]',
        b'[{"access_level":null}]',
        b"[{}]",
    ],
)
async def test_levels_that_are_not_the_bots_break_the_hold(
    gitlab: GitLabSimulator, forge: GitLab, dev: Person, levels: bytes
) -> None:
    body = b'[{"name":"main","push_access_levels":%b,"merge_access_levels":[{"access_level":0}]}]' % levels
    gitlab.fault("GET", "/protected_branches", status=200, body=body, headers={"content-type": "application/json"})
    assert not (await held(gitlab, forge, dev)).is_enforced


@pytest.mark.parametrize(
    ("rule", "branch", "is_covered"),
    [
        ("main", "main", True),
        ("main", "main2", False),
        ("*", "a/b", True),
        ("release/*", "release/1/2", True),
        ("release/*", "release", False),
        ("m.in", "main", False),
        ("*-stable", "1-stable", True),
        ("Main", "main", False),
    ],
)
def test_rules_cover_branches_as_gitlab_has_it(rule: str, branch: str, is_covered: bool) -> None:
    assert ProtectedBranch(name=rule).covers(branch) is is_covered
