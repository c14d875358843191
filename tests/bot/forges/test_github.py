"""GitHub behind the forge protocol: over loopback HTTP, against the simulator and its contract."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable

import pytest

from bot.forges.github import GitHub
from bot.forges.github_transport import Pace
from bot.forges.protocol import Forge, StatusState
from bot.model.errors import GatewrightError, Unavailable
from bot.model.event import AccountKind, Actor
from bot.model.role import Role
from bot.settings import GitHub as Table
from tests.simulators.github import GitHubSimulator
from tests.simulators.github.people import Person

Bots = Callable[..., GitHub]


@pytest.fixture
def mira(github: GitHubSimulator) -> Person:
    """A maintainer of octo/shop, on which the App is installed."""
    repo = github.repository(
        "octo/shop", {"README.md": "# Shop\n", "src/a b.txt": b"\x00\xff", "big.bin": b"x" * 1_100_000}
    )
    github.install(repo)
    return github.user("mira", repo, "write")


async def raises(code: str, call: object) -> GatewrightError:
    with pytest.raises(GatewrightError) as caught:
        await call  # type: ignore[misc]
    assert caught.value.code == code
    return caught.value


async def test_it_is_a_forge(github: GitHubSimulator, bot: Bots) -> None:
    """The class has all that the protocol asks for."""
    forge: Forge = bot()
    assert forge is not None


async def test_the_app_is_its_bot_account(github: GitHubSimulator, bot: Bots, mira: Person) -> None:
    """An App comments as `<slug>[bot]`, whose kind is Bot."""
    me = await bot().me()
    assert (me.id, me.login, me.kind) == (github.world.app_bot.id, "gatewright[bot]", AccountKind.BOT)


async def test_a_token_is_its_owner(bot: Bots, mira: Person) -> None:
    """A personal token comments as the person (or machine account) that made it."""
    me = await bot(token=mira.makes_token().value).me()
    assert (me.id, me.kind) == (mira.id, AccountKind.HUMAN)


async def test_home_is_where_the_repository_is(github: GitHubSimulator, bot: Bots, mira: Person) -> None:
    """Default branch from the API, git URL from the settings."""
    home = await bot().home(github.repo(mira.repo))
    assert (home.default_branch, home.clone_url) == ("main", f"{github.url}/octo/shop.git")


async def test_a_renamed_repository_is_followed_by_its_id(github: GitHubSimulator, bot: Bots, mira: Person) -> None:
    """Reads and writes under the old name reach the repository, before and after the name was learnt."""
    before, forge = github.repo(mira.repo), bot()
    number = mira.opens_issue("Sort by price")
    assert await forge.issue(before, number) is not None
    github.rename(mira.repo, "store")
    comment = await forge.comment(before, number, "still here")  # by redirect: the address was verified a moment ago
    assert await forge.get_comment(before, number, comment) is not None
    assert (await forge.home(before)).repo.path == "octo/store"
    fresh = bot()
    assert await fresh.comment(before, number, "here too") > comment
    assert (await fresh.home(before)).clone_url == f"{github.url}/octo/store.git"


async def test_a_name_that_somebody_else_took_over_is_an_error(
    github: GitHubSimulator, bot: Bots, mira: Person
) -> None:
    """The numeric id decides: nothing is ever written to the newcomer."""
    before = github.repo(mira.repo)
    github.rename(mira.repo, "store")
    newcomer = github.repository("octo/shop")
    github.install(newcomer)
    github.user("mallory", newcomer, "write").opens_issue("mine")
    error = await raises("GW-FORGE-MOVED", bot().comment(before, 1, "hello"))
    assert str(newcomer.id) in error.why
    assert newcomer.issues[1].comments == []


async def test_head_and_file(github: GitHubSimulator, bot: Bots, mira: Person) -> None:
    """Branches and paths may hold slashes and blanks; what is missing is None; too large is said."""
    repo, forge = github.repo(mira.repo), bot()
    tip = mira.commits("feat/a", {"x/y.toml": "a = 1\n"})
    assert await forge.head(repo, "feat/a") == tip
    await raises("GW-FORGE-NOT-FOUND", forge.head(repo, "feat"))
    assert await forge.file(repo, "x/y.toml", tip) == b"a = 1\n"
    assert await forge.file(repo, "src/a b.txt", await forge.head(repo, "main")) is not None
    assert await forge.file(repo, "x", tip) is None
    assert await forge.file(repo, "nothing", tip) is None


async def test_file_is_exact_bytes_and_bounded(github: GitHubSimulator, bot: Bots, mira: Person) -> None:
    """Bytes that are no text survive; above 1 MiB GitHub gives no content."""
    repo, forge = github.repo(mira.repo), bot()
    tip = await forge.head(repo, "main")
    assert await forge.file(repo, "src/a b.txt", tip) == b"\x00\xff"
    await raises("GW-FORGE-INVALID", forge.file(repo, "big.bin", tip))


async def test_an_issue_as_it_stands(github: GitHubSimulator, bot: Bots, mira: Person) -> None:
    """Title, text, author by id, labels, lock and state are read."""
    repo, forge = github.repo(mira.repo), bot()
    number = mira.opens_issue("Sort by price", "Cheapest first", labels=("gatewright",))
    seen = await forge.issue(repo, number)
    assert seen is not None
    assert (seen.title, seen.body, seen.labels, seen.is_open) == (
        "Sort by price",
        "Cheapest first",
        ("gatewright",),
        True,
    )
    assert seen.author is not None
    assert seen.author.id == mira.id
    mira.locks(number)
    mira.closes(number)
    seen = await forge.issue(repo, number)
    assert seen is not None
    assert (seen.is_locked, seen.is_open) == (True, False)


async def test_issues_that_are_gone(github: GitHubSimulator, bot: Bots, mira: Person) -> None:
    """Never there, deleted, or transferred: none of them is here, and a transfer is not followed."""
    repo, forge = github.repo(mira.repo), bot()
    elsewhere = github.repository("octo/other")
    deleted, moved = mira.opens_issue("a"), mira.opens_issue("b")
    mira.deletes_issue(deleted)
    mira.transfers_issue(moved, elsewhere)
    assert await forge.issue(repo, 999) is None
    assert await forge.issue(repo, deleted) is None
    assert await forge.issue(repo, moved) is None


async def test_an_event_may_be_faster_than_what_it_tells_of(github: GitHubSimulator, bot: Bots, mira: Person) -> None:
    """A 404 right after an event is asked again before it is believed."""
    number = mira.opens_issue("fresh")
    late = github.fault("GET", r"/issues/\d+$", status=404, message="Not Found", times=2)
    assert await bot().issue(github.repo(mira.repo), number) is not None
    assert late.hits == 2


@pytest.mark.parametrize("role", list(Role))
async def test_roles_are_what_the_collaborator_api_says(
    github: GitHubSimulator, bot: Bots, mira: Person, role: Role
) -> None:
    """All five roles and none come back as they are."""
    someone = github.user("someone", mira.repo, role.value)
    assert await bot().role(github.repo(mira.repo), Actor(someone.id, "someone")) is role


@pytest.mark.parametrize(("base", "name"), [("write", "admin"), ("read", "maintain"), ("write", "Release captain")])
async def test_a_custom_role_is_worth_its_base(
    github: GitHubSimulator, bot: Bots, mira: Person, base: str, name: str
) -> None:
    """An organisation's own role grants what it is based on, whatever it is called."""
    someone = github.user("someone", mira.repo).is_granted(base, called=name)
    assert await bot().role(github.repo(mira.repo), Actor(someone.id, "someone")) is Role(base)


async def test_a_login_that_changed_hands_has_no_role(github: GitHubSimulator, bot: Bots, mira: Person) -> None:
    """The numeric id of the event must be the id that the login has today."""
    old = github.user("ada", mira.repo, "admin")
    old.is_renamed("ada-l")
    assert await bot().role(github.repo(mira.repo), Actor(old.id, "ada")) is Role.NONE
    github.user("ada", mira.repo, "admin")
    assert await bot().role(github.repo(mira.repo), Actor(old.id, "ada")) is Role.NONE


async def test_an_error_is_never_a_role(github: GitHubSimulator, bot: Bots, mira: Person) -> None:
    """When GitHub refuses or fails the question, there is no answer."""
    repo, forge = github.repo(mira.repo), bot()
    github.fault("GET", "/permission$", status=403, message="Must have push access")
    await raises("GW-FORGE-FORBIDDEN", forge.role(repo, Actor(mira.id, "mira")))
    github.fault("GET", "/permission$", status=500, times=3)
    await raises("GW-FORGE-UNAVAILABLE", forge.role(repo, Actor(mira.id, "mira")))


async def test_comments(github: GitHubSimulator, bot: Bots, mira: Person) -> None:
    """Post, read, edit, react twice; a comment of another issue is not this issue's."""
    repo, forge = github.repo(mira.repo), bot()
    number, other = mira.opens_issue("a"), mira.opens_issue("b")
    made = await forge.comment(repo, number, "# Spec\n<!-- marker -->")
    await forge.edit_comment(repo, number, made, "# Spec 2")
    seen = await forge.get_comment(repo, number, made)
    assert seen is not None
    assert (seen.body, seen.author.kind) == ("# Spec 2", AccountKind.BOT)
    assert await forge.get_comment(repo, other, made) is None
    told = mira.comments(number, "/approve")
    await forge.react(repo, number, told, "eyes")
    await forge.react(repo, number, told, "eyes")
    assert [r.content for r in mira.repo.issues[number].comments[-1].reactions] == ["eyes"]
    mira.deletes_comment(told)
    assert await forge.get_comment(repo, number, told) is None


async def test_a_marker_counts_only_in_our_own_comment(github: GitHubSimulator, bot: Bots, mira: Person) -> None:
    """Anyone can type a marker; only ours is found, also far back."""
    repo, forge = github.repo(mira.repo), bot()
    number = mira.opens_issue("a")
    assert await forge.find_comment(repo, number, "<!-- gw:1 -->") is None
    mira.comments(number, "<!-- gw:1 -->")
    assert await forge.find_comment(repo, number, "<!-- gw:1 -->") is None
    ours = await forge.comment(repo, number, "text <!-- gw:1 -->")
    for index in range(120):
        mira.comments(number, f"noise {index} <!-- gw:1 -->")
    assert await forge.find_comment(repo, number, "<!-- gw:1 -->") == ours
    assert await forge.find_comment(repo, 999, "<!-- gw:1 -->") is None


async def test_a_status_is_cut_to_what_github_takes(github: GitHubSimulator, bot: Bots, mira: Person) -> None:
    """140 characters, the last of them an ellipsis."""
    repo, forge = github.repo(mira.repo), bot()
    await forge.set_status(repo, await forge.head(repo, "main"), StatusState.PENDING, "gatewright/spec", "w" * 200)
    (status,) = mira.repo.statuses
    assert (status.state, len(status.description or "")) == ("pending", 140)
    error = await raises("GW-FORGE-INVALID", forge.set_status(repo, "f" * 40, StatusState.SUCCESS, "x", "y"))
    assert "No commit found" in error.why


async def test_the_life_of_a_change(github: GitHubSimulator, bot: Bots, mira: Person) -> None:
    """Open as a draft, find by branch, edit, merge; another person's pull request is not ours."""
    repo, forge = github.repo(mira.repo), bot()
    tip = mira.commits("gatewright/1-abcdef-sort", {"a.txt": "a"})
    assert await forge.find_change(repo, "gatewright/1-abcdef-sort") is None
    made = await forge.open_change(
        repo, branch="gatewright/1-abcdef-sort", base="main", title="Sort", body="Report", draft=True
    )
    assert (made.head, made.is_draft, made.is_open, made.branch) == (tip, True, True, "gatewright/1-abcdef-sort")
    assert await forge.find_change(repo, made.branch) == made
    await forge.edit_change(repo, made.number, body="Report 2")
    assert mira.repo.issues[made.number].body == "Report 2"
    mira.merges(made.number)
    merged = await forge.get_change(repo, made.number)
    assert merged is not None
    assert (merged.is_merged, merged.is_open) == (True, False)
    assert await forge.find_change(repo, made.branch) == merged
    mira.commits("theirs", {"b.txt": "b"})
    mira.opens_pull("Theirs", "theirs")
    assert await forge.find_change(repo, "theirs") is None


async def test_closing_a_change_does_not_merge_it(github: GitHubSimulator, bot: Bots, mira: Person) -> None:
    """A closed change is neither open nor merged; a second one of the branch is the newest."""
    repo, forge = github.repo(mira.repo), bot()
    mira.commits("work", {"a.txt": "a"})
    first = await forge.open_change(repo, branch="work", base="main", title="One", body="", draft=False)
    error = await raises(
        "GW-FORGE-INVALID", forge.open_change(repo, branch="work", base="main", title="Two", body="", draft=False)
    )
    assert "already exists" in error.why
    await forge.close_change(repo, first.number)
    closed = await forge.get_change(repo, first.number)
    assert closed is not None
    assert (closed.is_open, closed.is_merged) == (False, False)
    second = await forge.open_change(repo, branch="work", base="main", title="Two", body="", draft=False)
    assert await forge.find_change(repo, "work") == second
    assert await forge.get_change(repo, 999) is None


async def test_without_drafts_an_ordinary_change_is_opened(github: GitHubSimulator, bot: Bots, mira: Person) -> None:
    """Some plans know no draft pull requests; the work is not lost over it."""
    mira.commits("work", {"a.txt": "a"})
    told = "Draft pull requests are not supported in this repository."
    errors = [{"resource": "PullRequest", "code": "custom", "message": told}]
    body = json.dumps({"message": "Validation Failed", "errors": errors}).encode()
    github.fault("POST", "/pulls$", status=422, body=body)
    made = await bot().open_change(github.repo(mira.repo), branch="work", base="main", title="One", body="", draft=True)
    assert not made.is_draft


async def test_a_locked_issue_says_what_to_do(github: GitHubSimulator, bot: Bots, mira: Person) -> None:
    """A 403 is an error with GitHub's reason, and is not tried again."""
    reader = github.user("reader", mira.repo, "read")
    number = mira.opens_issue("a")
    mira.locks(number)
    forge = bot(token=reader.makes_token().value)
    error = await raises("GW-FORGE-FORBIDDEN", forge.comment(github.repo(mira.repo), number, "hello"))
    assert "locked" in error.why
    assert error.fix


async def test_missing_permissions_are_named(github: GitHubSimulator, bot: Bots) -> None:
    """GitHub says which permission it wants; so do we."""
    repo = github.repository("octo/shop")
    github.install(repo, permissions={"statuses": "read"})
    forge = bot()
    head = await forge.head(github.repo(repo), "main")
    error = await raises("GW-FORGE-FORBIDDEN", forge.set_status(github.repo(repo), head, StatusState.SUCCESS, "c", "t"))
    assert "statuses=write" in error.fix


async def test_writes_that_notify_people_keep_their_distance(github: GitHubSimulator, bot: Bots, mira: Person) -> None:
    """Two comments may follow each other at once, the third waits for the gap; edits and reactions do not wait."""
    forge = bot(pace=Pace(write_gap=1.0))
    repo, number = github.repo(mira.repo), mira.opens_issue("a")
    await forge.issue(repo, number)
    began = time.monotonic()
    first, second = await asyncio.gather(*(forge.comment(repo, number, str(n)) for n in range(2)))
    assert time.monotonic() - began < 1.0
    assert first != second
    await forge.comment(repo, number, "3")
    assert time.monotonic() - began >= 1.0
    began = time.monotonic()
    await forge.edit_comment(repo, number, first, "again")
    await forge.react(repo, number, first, "eyes")
    assert time.monotonic() - began < 1.0


async def test_a_comment_whose_answer_is_lost_is_not_repeated(github: GitHubSimulator, bot: Bots, mira: Person) -> None:
    """It may have been posted, and was: the marker finds it."""
    repo, number, forge = github.repo(mira.repo), mira.opens_issue("a"), bot()
    github.fault("POST", "/comments$", cut=True)
    with pytest.raises(Unavailable) as caught:
        await forge.comment(repo, number, "once <!-- gw:9 -->")
    assert caught.value.code == "GW-FORGE-UNAVAILABLE"
    assert len(mira.repo.issues[number].comments) == 1
    assert await forge.find_comment(repo, number, "<!-- gw:9 -->") == mira.repo.issues[number].comments[0].id


def test_the_settings_say_how_far_apart_writes_are() -> None:
    """GitHub advises a second; an Enterprise server without limits need not wait."""
    assert GitHub(Table(token="t", write_gap=0.0))._calls.pace.write_gap == 0.0
    assert GitHub(Table(token="t"))._calls.pace.write_gap == 1.0
