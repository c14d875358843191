"""Teams, merging and held CI on GitHub: a clear yes, or nothing happens."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from bot.forges.github import GitHub
from bot.forges.github_gates import RELEASE
from bot.forges.protocol import Membership, StatusState
from bot.model.errors import Unavailable
from bot.model.event import AccountKind, Actor
from tests.bot.forges.conftest import raises
from tests.simulators.github import GitHubSimulator
from tests.simulators.github.people import Person

Bots = Callable[..., GitHub]
BRANCH = "gatewright/1-abcdef-sort"


@pytest.fixture
def mira(github: GitHubSimulator) -> Person:
    repo = github.repository("octo/shop")
    github.install(repo)
    return github.user("mira", repo, "write")


@pytest.fixture
def pull(mira: Person) -> int:
    mira.commits(BRANCH, {"a.txt": "a"})
    return mira.opens_pull("Sort", BRANCH)


async def test_an_invitation_is_no_membership(github: GitHubSimulator, bot: Bots, mira: Person) -> None:
    team = github.team("octo/leads")
    mira.joins(team, state="pending")
    forge, repo, who = bot(), github.repo(mira.repo), Actor(mira.id, "mira")
    assert [await forge.membership(repo, name, who) for name in (str(team.id), team.path)] == [None, None]
    mira.joins(team)
    found = [await forge.membership(repo, name, who) for name in (str(team.id), team.path)]
    assert found == [Membership(since_ms=0), Membership(since_ms=0)]


async def test_a_login_that_changed_hands_brings_no_membership(
    github: GitHubSimulator, bot: Bots, mira: Person
) -> None:
    """The member is followed by number; who took over the old login is somebody else."""
    team = github.team("octo/leads")
    mira.joins(team)
    mira.is_renamed("mira-l")
    squatter = github.user("mira", mira.repo, "write")
    forge, repo = bot(), github.repo(mira.repo)
    assert await forge.membership(repo, team.path, Actor(mira.id, "mira")) is not None
    assert await forge.membership(repo, team.path, Actor(squatter.id, "mira")) is None
    assert await forge.membership(repo, str(team.id), Actor(squatter.id, "mira-l")) is None


async def test_a_bot_in_a_team_is_no_member(github: GitHubSimulator, bot: Bots, mira: Person) -> None:
    """GitHub would hardly allow it; the account's type decides, not its name."""
    team, robot = github.team("octo/leads"), github.user("helper", mira.repo, "write", kind="Bot")
    robot.joins(team)
    assert await bot().membership(github.repo(mira.repo), team.path, Actor(robot.id, "helper")) is None


async def test_a_team_by_number_is_one_of_the_repositorys_owner(
    github: GitHubSimulator, bot: Bots, mira: Person
) -> None:
    """The same number in another organisation is not asked about."""
    foreign = github.team("elsewhere/leads")
    mira.joins(foreign)
    repo, who = github.repo(mira.repo), Actor(mira.id, "mira")
    assert await bot().membership(repo, str(foreign.id), who) is None
    assert await bot().membership(repo, foreign.path, who) is None, "the App is not installed there"


@pytest.mark.parametrize("group", ["octo/leads/inner", "../leads", "octo/le ads", "0", "-1", "1" * 40, "@octo/leads"])
async def test_what_names_no_team_is_not_asked(github: GitHubSimulator, bot: Bots, mira: Person, group: str) -> None:
    mira.joins(github.team("octo/leads"))
    assert await bot().membership(github.repo(mira.repo), group, Actor(mira.id, "mira")) is None
    assert not [seen.path for seen in github.exchanges if "memberships" in seen.path]


async def test_an_error_is_never_a_membership(github: GitHubSimulator, bot: Bots, mira: Person) -> None:
    team = github.team("octo/leads")
    mira.joins(team)
    forge, repo, who = bot(), github.repo(mira.repo), Actor(mira.id, "mira")
    for path in ("/memberships/", r"/user/\d+$"):
        github.fault("GET", path, status=500, times=3)
        await raises("GW-FORGE-UNAVAILABLE", forge.membership(repo, team.path, who))
        github.fault("GET", path, status=403, message="no")
        await raises("GW-FORGE-FORBIDDEN", forge.membership(repo, team.path, who))
    github.fault("GET", r"/user/\d+$", status=200, body=b'{"id": 4, "login": "mira", "type": "User"}')
    assert await forge.membership(repo, team.path, who) is None, "an answer about somebody else"


async def test_without_the_permission_it_is_named(github: GitHubSimulator, bot: Bots) -> None:
    repo = github.repository("octo/shop")
    del github.install(repo).permissions["members"]
    mira, team = github.user("mira", repo, "write"), github.team("octo/leads")
    mira.joins(team)
    error = await raises("GW-FORGE-FORBIDDEN", bot().membership(github.repo(repo), team.path, Actor(mira.id, "mira")))
    assert "members=read" in error.fix


async def test_a_merge_names_the_head_and_says_what_stops_it(
    github: GitHubSimulator, bot: Bots, mira: Person, pull: int
) -> None:
    """A conflict, a draft, a closed pull request and a missing status are each GitHub's own words."""
    forge, repo = bot(), github.repo(mira.repo)
    change = await forge.get_change(repo, pull)
    assert change is not None
    github.user("octo", mira.repo).protects("main", "gatewright/change")
    error = await raises("GW-FORGE-MERGE", forge.merge(repo, pull, change.head))
    assert "gatewright/change" in error.why
    await forge.set_status(repo, change.head, StatusState.SUCCESS, "gatewright/change", "ok")
    await forge.merge(repo, pull, change.head)
    mira.commits("side", {"c.txt": "1"})
    drafted = mira.opens_pull("Draft", "side", draft=True)
    error = await raises("GW-FORGE-MERGE", forge.merge(repo, drafted, mira.commits("side", {"c.txt": "2"})))
    assert "draft" in error.why
    mira.closes(drafted)
    await raises("GW-FORGE-MERGE", forge.merge(repo, drafted, change.head))


async def test_a_merge_that_conflicts_is_said_to(github: GitHubSimulator, bot: Bots, mira: Person, pull: int) -> None:
    head = mira.repo.issues[pull].pull.sha  # type: ignore[union-attr]
    mira.commits("main", {"a.txt": "something else"})
    error = await raises("GW-FORGE-MERGE", bot().merge(github.repo(mira.repo), pull, head))
    assert "not mergeable" in error.why
    assert error.fix


async def test_a_merge_whose_answer_is_lost_is_done_once(
    github: GitHubSimulator, bot: Bots, mira: Person, pull: int
) -> None:
    """It is tried again, and found merged at that very head."""
    github.fault("PUT", "/merge$", cut=True)
    head = mira.repo.issues[pull].pull.sha  # type: ignore[union-attr]
    await bot().merge(github.repo(mira.repo), pull, head)
    assert [seen.status for seen in github.exchanges if seen.path.endswith("/merge")] == [405]  # the second try
    assert mira.repo.issues[pull].pull.merged_by is github.world.app_bot  # type: ignore[union-attr]


async def test_a_head_that_moved_is_not_merged(github: GitHubSimulator, bot: Bots, mira: Person, pull: int) -> None:
    old = mira.repo.issues[pull].pull.sha  # type: ignore[union-attr]
    mira.commits(BRANCH, {"a.txt": "unseen"})
    error = await raises("GW-FORGE-MERGE", bot().merge(github.repo(mira.repo), pull, old))
    assert "Head branch was modified" in error.why
    assert mira.repo.issues[pull].state == "open"


async def test_a_pull_request_merged_at_another_head_is_no_success(
    github: GitHubSimulator, bot: Bots, mira: Person, pull: int
) -> None:
    """Somebody else merged what was not approved."""
    old = mira.repo.issues[pull].pull.sha  # type: ignore[union-attr]
    mira.commits(BRANCH, {"a.txt": "unseen"})
    mira.merges(pull)
    await raises("GW-FORGE-MERGE", bot().merge(github.repo(mira.repo), pull, old))


async def test_a_merge_that_github_does_not_confirm_is_none(
    github: GitHubSimulator, bot: Bots, mira: Person, pull: int
) -> None:
    head = mira.repo.issues[pull].pull.sha  # type: ignore[union-attr]
    github.fault("PUT", "/merge$", status=200, body=b'{"merged": false, "message": "later", "sha": ""}')
    error = await raises("GW-FORGE-MERGE", bot().merge(github.repo(mira.repo), pull, head))
    assert "later" in error.why


async def test_a_merge_without_the_right_to_is_forbidden(github: GitHubSimulator, bot: Bots) -> None:
    repo = github.repository("octo/shop")
    github.install(repo, permissions={"contents": "read"})
    mira = github.user("mira", repo, "write")
    head = mira.commits(BRANCH, {"a.txt": "a"})
    await raises("GW-FORGE-FORBIDDEN", bot().merge(github.repo(repo), mira.opens_pull("Sort", BRANCH), head))


async def test_held_ci_is_released_for_one_commit_by_name(
    github: GitHubSimulator, bot: Bots, mira: Person, pull: int
) -> None:
    await bot().release_ci(github.repo(mira.repo), pull, BRANCH, "a" * 40)
    (sent,) = mira.repo.dispatches
    assert (sent.event_type, sent.by) == (RELEASE, github.world.app_bot)
    assert sent.payload == {"branch": BRANCH, "commit": "a" * 40, "number": pull}


async def test_a_release_whose_answer_is_lost_is_not_repeated(
    github: GitHubSimulator, bot: Bots, mira: Person, pull: int
) -> None:
    lost = github.fault("POST", "/dispatches$", status=502, times=3)
    with pytest.raises(Unavailable):
        await bot().release_ci(github.repo(mira.repo), pull, BRANCH, "a" * 40)
    assert lost.hits == 1


async def test_a_review_counts_as_long_as_it_stands(bot: Bots, mira: Person, pull: int) -> None:
    tom = mira.github.user("tom", mira.repo, "write")
    forge, repo, who = bot(), mira.github.repo(mira.repo), Actor(tom.id, "tom")
    assert not await forge.approves(repo, pull, who)
    tom.reviews(pull, "COMMENT", "hm")
    assert not await forge.approves(repo, pull, who)
    tom.reviews(pull, "APPROVE")
    tom.reviews(pull, "COMMENT", "and a word more")
    assert await forge.approves(repo, pull, who)
    assert not await forge.approves(repo, pull, Actor(tom.id + 1000, "tom"))
    tom.reviews(pull, "REQUEST_CHANGES", "on second thoughts")
    assert not await forge.approves(repo, pull, who)


async def test_an_account_is_asked_for_by_its_number(github: GitHubSimulator, bot: Bots, mira: Person) -> None:
    forge, repo, unknown = bot(), github.repo(mira.repo), AccountKind.UNKNOWN
    robot = github.user("renovate[bot]", mira.repo, "write", kind="Bot")
    mira.is_renamed("mira-l")
    assert await forge.account(repo, Actor(mira.id, "", unknown)) == Actor(mira.id, "mira-l", AccountKind.HUMAN)
    assert (await forge.account(repo, Actor(robot.id, "", unknown))).kind is AccountKind.BOT
    assert (await forge.account(repo, Actor(999_999, "", unknown))).kind is unknown
    assert (await forge.account(repo, Actor(0, "ghost", unknown))).kind is unknown


async def test_a_repository_is_found_by_its_path(github: GitHubSimulator, bot: Bots, mira: Person) -> None:
    near, other = github.repository("octo/near"), github.repository("octo/policy")
    github.install(near, other)
    forge, repo = bot(), github.repo(near)
    found = await forge.lookup(repo, "octo/policy")
    assert found is not None
    assert (found.id, found.path, found.host) == (github.repo(other).id, "octo/policy", repo.host)
    assert await forge.lookup(repo, "octo/nothing") is None
    assert await forge.lookup(repo, "octo") is None
