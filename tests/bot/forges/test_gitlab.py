"""GitLab behind the forge protocol: over loopback HTTP, against the simulator and its contract."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from bot.forges.gitlab import GitLab
from bot.forges.protocol import Forge, StatusState, Visibility
from bot.model.errors import UsageError
from bot.model.event import AccountKind, Actor
from bot.model.role import Role
from tests.bot.forges.conftest import QUICK_GITLAB as QUICK
from tests.bot.forges.conftest import raises
from tests.simulators.gitlab import GitLabSimulator
from tests.simulators.gitlab.people import Person

Bots = Callable[..., GitLab]


async def test_it_is_a_forge(gitlab_bot: Bots, dev: Person) -> None:
    forge: Forge = gitlab_bot(dev.project)
    me = await forge.me()
    assert me.kind is AccountKind.BOT
    assert await forge.me() is me


async def test_a_bot_named_like_a_command_of_gitlab_is_refused(gitlab: GitLabSimulator) -> None:
    with pytest.raises(UsageError):
        GitLab(gitlab.table(token="t"), bot_name="merge")


async def test_home_is_where_the_project_is(gitlab: GitLabSimulator, gitlab_bot: Bots, dev: Person) -> None:
    """By its id, also after it was moved to another group; git URLs keep the sub-path."""
    before, forge = gitlab.repo(dev.project), gitlab_bot(dev.project)
    home = await forge.home(before)
    assert (home.default_branch, home.clone_url) == ("main", f"{gitlab.url}/pay/core/shop.api.git")
    gitlab.move(dev.project, "pay/new/store")
    assert (await forge.home(before)).clone_url == f"{gitlab.url}/pay/new/store.git"
    assert await forge.comment(before, dev.opens_issue("a"), "still here") > 0


@pytest.mark.parametrize("visibility", ["private", "internal", "public"])
async def test_home_says_who_may_read_it_and_whose_it_is(
    gitlab: GitLabSimulator, gitlab_bot: Bots, dev: Person, visibility: str
) -> None:
    repo, forge = gitlab.repo(dev.project), gitlab_bot(dev.project)
    dev.changes_visibility(visibility)
    home = await forge.home(repo)
    assert (home.visibility, home.owner) == (visibility, gitlab.group("pay/core").id)
    gitlab.move(dev.project, "pay/new/store")
    assert (await forge.home(repo)).owner == gitlab.group("pay/new").id != home.owner


@pytest.mark.parametrize("told", [b"", b',"visibility":null', b',"visibility":"secret","namespace":"pay"'])
async def test_a_project_that_does_not_say_who_reads_it_is_read_by_all(
    gitlab: GitLabSimulator, gitlab_bot: Bots, dev: Person, told: bytes
) -> None:
    body = b'{"id":%d,"path_with_namespace":"pay/core/shop","default_branch":"main"%b}' % (dev.project.id, told)
    gitlab.fault("GET", r"/projects/\d+$", status=200, body=body, headers={"content-type": "application/json"})
    home = await gitlab_bot(dev.project).home(gitlab.repo(dev.project))
    assert (home.visibility, home.owner) == (Visibility.PUBLIC, 0)


async def test_another_project_is_found_by_its_path(gitlab: GitLabSimulator, gitlab_bot: Bots, dev: Person) -> None:
    """Never by a number, which would name any project at all."""
    repo, forge = gitlab.repo(dev.project), gitlab_bot(dev.project)
    assert await forge.lookup(repo, "pay/core/shop.api") == repo
    assert await forge.lookup(repo, "pay/core/none") is None
    assert await forge.lookup(repo, str(repo.id)) is None
    gitlab.fault("GET", "/projects/", status=500, times=3)
    await raises("GW-FORGE-UNAVAILABLE", forge.lookup(repo, "pay/core/shop.api"))


async def test_head_and_file(gitlab: GitLabSimulator, gitlab_bot: Bots, dev: Person) -> None:
    """Branches and paths may hold slashes and blanks; what is missing is None; too large is said."""
    repo, forge = gitlab.repo(dev.project), gitlab_bot(dev.project)
    tip = dev.commits("feat/a", {"x/y.toml": "a = 1\n"})
    assert await forge.head(repo, "feat/a") == tip
    await raises("GW-FORGE-NOT-FOUND", forge.head(repo, "feat"))
    assert await forge.file(repo, "x/y.toml", tip) == b"a = 1\n"
    assert await forge.file(repo, "src/a b.txt", tip) == b"\x00\xff"
    assert await forge.file(repo, "nothing", tip) is None
    await raises("GW-FORGE-INVALID", forge.file(repo, "big.bin", tip))


async def test_an_issue_as_it_stands(gitlab: GitLabSimulator, gitlab_bot: Bots, dev: Person) -> None:
    repo, forge = gitlab.repo(dev.project), gitlab_bot(dev.project)
    number = dev.opens_issue("Sort by price", "Cheapest first", labels=("gatewright",))
    seen = await forge.issue(repo, number)
    assert seen is not None
    assert (seen.title, seen.body, seen.labels, seen.is_open, seen.is_confidential) == (
        "Sort by price", "Cheapest first", ("gatewright",), True, False,
    )  # fmt: skip
    assert seen.author is not None
    assert seen.author.id == dev.id
    dev.locks(number)
    dev.closes(number)
    seen = await forge.issue(repo, number)
    assert seen is not None
    assert (seen.is_locked, seen.is_open) == (True, False)
    hidden = await forge.issue(repo, dev.opens_issue("secret", confidential=True))
    assert hidden is not None
    assert hidden.is_confidential
    assert await forge.issue(repo, 999) is None


@pytest.mark.parametrize(
    ("level", "role"),
    [
        ("guest", Role.READ),
        ("planner", Role.TRIAGE),
        ("reporter", Role.TRIAGE),
        ("developer", Role.WRITE),
        ("maintainer", Role.MAINTAIN),
        ("owner", Role.ADMIN),
    ],
)
async def test_roles_are_access_levels(
    gitlab: GitLabSimulator, gitlab_bot: Bots, dev: Person, level: str, role: Role
) -> None:
    someone = gitlab.user("someone", dev.project, level)
    assert await gitlab_bot(dev.project).role(gitlab.repo(dev.project), Actor(someone.id, "whatever")) is role


async def test_rights_are_inherited_from_groups(gitlab: GitLabSimulator, gitlab_bot: Bots, dev: Person) -> None:
    someone = gitlab.user("someone", dev.project, "maintainer", on=gitlab.group("pay"))
    assert await gitlab_bot(dev.project).role(gitlab.repo(dev.project), Actor(someone.id, "x")) is Role.MAINTAIN


async def test_who_is_no_member_blocked_or_not_answered_for_may_nothing(
    gitlab: GitLabSimulator, gitlab_bot: Bots, dev: Person
) -> None:
    repo, forge = gitlab.repo(dev.project), gitlab_bot(dev.project)
    stranger = gitlab.user("stranger", dev.project)
    assert await forge.role(repo, Actor(stranger.id, "stranger")) is Role.NONE
    gitlab.do(lambda: dev.project.members.update({stranger.id: 5}))  # minimal access: sees that the group exists
    assert await forge.role(repo, Actor(stranger.id, "stranger")) is Role.NONE
    blocked = gitlab.user("blocked", dev.project, "owner")
    blocked.is_blocked()
    assert await forge.role(repo, Actor(blocked.id, "blocked")) is Role.NONE
    gitlab.fault("GET", "/members/all/", status=500, times=3)
    await raises("GW-FORGE-UNAVAILABLE", forge.role(repo, Actor(dev.id, "mira")))
    gitlab.fault("GET", "/members/all/", status=403)
    await raises("GW-FORGE-FORBIDDEN", forge.role(repo, Actor(dev.id, "mira")))


async def test_people_are_told_from_bots_by_the_api(gitlab: GitLabSimulator, gitlab_bot: Bots, dev: Person) -> None:
    """Never by a name: a person may be called like a bot."""
    repo, forge = gitlab.repo(dev.project), gitlab_bot(dev.project)
    named = gitlab.user("project_1_bot", dev.project, "developer")
    machine, _ = gitlab.access_token(dev.project)
    unknown = AccountKind.UNKNOWN
    assert (await forge.account(repo, Actor(named.id, "project_1_bot", unknown))).kind is AccountKind.HUMAN
    assert (await forge.account(repo, Actor(machine.id, "mira", unknown))).kind is AccountKind.BOT
    assert (await forge.account(repo, Actor(dev.id, "", unknown))).login == "mira"
    assert (await forge.account(repo, Actor(dev.id, "", AccountKind.HUMAN))).login == "mira", (
        "who is known by number only"
    )
    named.is_blocked()
    assert (await forge.account(repo, Actor(named.id, "project_1_bot", unknown))).kind is unknown
    assert (await forge.account(repo, Actor(999_999, "nobody", unknown))).kind is unknown
    assert (await forge.account(repo, Actor(0, "ghost", unknown))).kind is unknown


async def test_no_text_of_the_bot_acts(gitlab: GitLabSimulator, gitlab_bot: Bots, dev: Person) -> None:
    """Through every call that carries words; the bot's token could merge."""
    repo, forge, number = gitlab.repo(dev.project), gitlab_bot(dev.project), dev.opens_issue("a")
    dev.commits("work", {"a.txt": "a"})
    hostile = "/close\nHe said:\r/label ~admin\n/merge\n```\nx\n```\n/assign @root"
    note = await forge.comment(repo, number, hostile)
    await forge.edit_comment(repo, number, note, f"again\n{hostile}")
    made = await forge.open_change(repo, branch="work", base="main", title="/draft\nx", body=hostile, draft=False)
    await forge.edit_change(repo, made.number, body=f"\n  {hostile}")
    assert gitlab.executed == []
    assert dev.project.issues[number].state == "opened"
    assert "/close" in dev.project.merge_requests[made.number].description
    seen = await forge.get_comment(repo, number, note)
    assert seen is not None
    assert "/label ~admin" in seen.body


async def test_a_status_can_be_set_again_and_turn(gitlab: GitLabSimulator, gitlab_bot: Bots, dev: Person) -> None:
    """GitLab refuses the state a status is in already; that is what was wanted."""
    repo, forge = gitlab.repo(dev.project), gitlab_bot(dev.project)
    head = await forge.head(repo, "main")
    for state in (StatusState.PENDING, StatusState.PENDING, StatusState.SUCCESS, StatusState.PENDING):
        await forge.set_status(repo, head, state, "gatewright/change", "w" * 300)
    await raises("GW-FORGE-NOT-FOUND", forge.set_status(repo, "f" * 40, StatusState.SUCCESS, "x", "y"))


async def test_the_life_of_a_change(gitlab: GitLabSimulator, gitlab_bot: Bots, dev: Person) -> None:
    """Open as a draft, find by branch, edit, merge; another person's merge request is not ours."""
    repo, forge = gitlab.repo(dev.project), gitlab_bot(dev.project, level="maintainer")
    tip = dev.commits("gatewright/1-abcdef-sort", {"a.txt": "a"})
    assert await forge.find_change(repo, "gatewright/1-abcdef-sort") is None
    made = await forge.open_change(
        repo, branch="gatewright/1-abcdef-sort", base="main", title="Sort", body="Report", draft=True
    )
    assert (made.head, made.is_draft, made.is_open, made.branch) == (tip, True, True, "gatewright/1-abcdef-sort")
    assert dev.project.merge_requests[made.number].title == "Draft: Sort"
    assert await forge.find_change(repo, made.branch) == made
    await forge.edit_change(repo, made.number, body="Report 2")
    assert dev.project.merge_requests[made.number].description == "Report 2"
    again = await raises(
        "GW-FORGE-INVALID", forge.open_change(repo, branch=made.branch, base="main", title="x", body="", draft=False)
    )
    assert "already exists" in again.why
    await forge.close_change(repo, made.number)
    closed = await forge.get_change(repo, made.number)
    assert closed is not None
    assert (closed.is_open, closed.is_merged) == (False, False)
    second = await forge.open_change(repo, branch=made.branch, base="main", title="Two", body="", draft=False)
    assert await forge.find_change(repo, made.branch) == second
    dev.is_granted("maintainer").merges(second.number)
    merged = await forge.get_change(repo, second.number)
    assert merged is not None
    assert (merged.is_merged, merged.is_open) == (True, False)
    dev.commits("theirs", {"b.txt": "b"})
    dev.opens_change("Theirs", "theirs")
    assert await forge.find_change(repo, "theirs") is None
    assert await forge.get_change(repo, 999) is None


async def test_git_gets_the_narrow_token_where_there_is_one(gitlab: GitLabSimulator) -> None:
    import msgspec

    table = gitlab.table(token="wide")
    repo = gitlab.repo(gitlab.project())
    for push, expected in (("", "wide"), ("narrow", "narrow")):
        forge = GitLab(msgspec.structs.replace(table, push_token=push), pace=QUICK)
        access = await forge.git_access(repo, write=True)
        assert access is not None
        assert (access.username, access.password) == ("oauth2", expected)
        await forge.close()


async def test_who_approves_is_asked_of_gitlab(gitlab: GitLabSimulator, gitlab_bot: Bots, dev: Person) -> None:
    """Given, taken back, and given again; a push takes it back where the project says so."""
    repo, forge = gitlab.repo(dev.project), gitlab_bot(dev.project)
    dev.commits("work", {"a.txt": "a"})
    made = await forge.open_change(repo, branch="work", base="main", title="One", body="", draft=False)
    tom = gitlab.user("tom", dev.project, "developer")
    who = Actor(tom.id, "tom", AccountKind.UNKNOWN)
    for act, stands in ((tom.approves, True), (tom.unapproves, False), (tom.approves, True)):
        act(made.number)
        assert await forge.approves(repo, made.number, who) is stands
    assert not await forge.approves(repo, made.number, Actor(dev.id, "mira"))
    dev.commits("work", {"a.txt": "b"})
    await gitlab.settled()
    assert not await forge.approves(repo, made.number, who)
