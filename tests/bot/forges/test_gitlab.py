"""GitLab behind the forge protocol: over loopback HTTP, against the simulator and its contract."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

import pytest

from bot.forges.gitlab import GitLab
from bot.forges.gitlab_transport import Pace
from bot.forges.protocol import Forge, Role, StatusState
from bot.model.errors import GatewrightError, Unavailable, UsageError
from bot.model.event import AccountKind, Actor
from tests.bot.forges.conftest import QUICK_GITLAB as QUICK
from tests.simulators.gitlab import GitLabSimulator
from tests.simulators.gitlab.people import Person

Bots = Callable[..., GitLab]


@pytest.fixture
def mira(gitlab: GitLabSimulator) -> Person:
    """A developer of a project in nested groups."""
    project = gitlab.project(
        "pay/core/shop.api", {"README.md": "# Shop\n", "src/a b.txt": b"\x00\xff", "big.bin": b"x" * 1_100_000}
    )
    return gitlab.user("mira", project, "developer")


async def raises(code: str, call: object) -> GatewrightError:
    with pytest.raises(GatewrightError) as caught:
        await call  # type: ignore[misc]
    assert caught.value.code == code
    return caught.value


async def test_it_is_a_forge(gitlab_bot: Bots, mira: Person) -> None:
    forge: Forge = gitlab_bot(mira.project)
    me = await forge.me()
    assert me.kind is AccountKind.BOT
    assert await forge.me() is me


async def test_a_bot_named_like_a_command_of_gitlab_is_refused(gitlab: GitLabSimulator) -> None:
    with pytest.raises(UsageError):
        GitLab(gitlab.table(token="t"), bot_name="merge")


async def test_home_is_where_the_project_is(gitlab: GitLabSimulator, gitlab_bot: Bots, mira: Person) -> None:
    """By its id, also after it was moved to another group; git URLs keep the sub-path."""
    before, forge = gitlab.repo(mira.project), gitlab_bot(mira.project)
    home = await forge.home(before)
    assert (home.default_branch, home.clone_url) == ("main", f"{gitlab.url}/pay/core/shop.api.git")
    gitlab.move(mira.project, "pay/new/store")
    assert (await forge.home(before)).clone_url == f"{gitlab.url}/pay/new/store.git"
    assert await forge.comment(before, mira.opens_issue("a"), "still here") > 0


async def test_head_and_file(gitlab: GitLabSimulator, gitlab_bot: Bots, mira: Person) -> None:
    """Branches and paths may hold slashes and blanks; what is missing is None; too large is said."""
    repo, forge = gitlab.repo(mira.project), gitlab_bot(mira.project)
    tip = mira.commits("feat/a", {"x/y.toml": "a = 1\n"})
    assert await forge.head(repo, "feat/a") == tip
    await raises("GW-FORGE-NOT-FOUND", forge.head(repo, "feat"))
    assert await forge.file(repo, "x/y.toml", tip) == b"a = 1\n"
    assert await forge.file(repo, "src/a b.txt", tip) == b"\x00\xff"
    assert await forge.file(repo, "nothing", tip) is None
    await raises("GW-FORGE-INVALID", forge.file(repo, "big.bin", tip))


async def test_an_issue_as_it_stands(gitlab: GitLabSimulator, gitlab_bot: Bots, mira: Person) -> None:
    repo, forge = gitlab.repo(mira.project), gitlab_bot(mira.project)
    number = mira.opens_issue("Sort by price", "Cheapest first", labels=("gatewright",))
    seen = await forge.issue(repo, number)
    assert seen is not None
    assert (seen.title, seen.body, seen.labels, seen.is_open, seen.is_confidential) == (
        "Sort by price", "Cheapest first", ("gatewright",), True, False,
    )  # fmt: skip
    assert seen.author is not None
    assert seen.author.id == mira.id
    mira.locks(number)
    mira.closes(number)
    seen = await forge.issue(repo, number)
    assert seen is not None
    assert (seen.is_locked, seen.is_open) == (True, False)
    hidden = await forge.issue(repo, mira.opens_issue("secret", confidential=True))
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
    gitlab: GitLabSimulator, gitlab_bot: Bots, mira: Person, level: str, role: Role
) -> None:
    someone = gitlab.user("someone", mira.project, level)
    assert await gitlab_bot(mira.project).role(gitlab.repo(mira.project), Actor(someone.id, "whatever")) is role


async def test_rights_are_inherited_from_groups(gitlab: GitLabSimulator, gitlab_bot: Bots, mira: Person) -> None:
    someone = gitlab.user("someone", mira.project, "maintainer", on=gitlab.group("pay"))
    assert await gitlab_bot(mira.project).role(gitlab.repo(mira.project), Actor(someone.id, "x")) is Role.MAINTAIN


async def test_who_is_no_member_blocked_or_not_answered_for_may_nothing(
    gitlab: GitLabSimulator, gitlab_bot: Bots, mira: Person
) -> None:
    repo, forge = gitlab.repo(mira.project), gitlab_bot(mira.project)
    stranger = gitlab.user("stranger", mira.project)
    assert await forge.role(repo, Actor(stranger.id, "stranger")) is Role.NONE
    gitlab.do(lambda: mira.project.members.update({stranger.id: 5}))  # minimal access: sees that the group exists
    assert await forge.role(repo, Actor(stranger.id, "stranger")) is Role.NONE
    blocked = gitlab.user("blocked", mira.project, "owner")
    blocked.is_blocked()
    assert await forge.role(repo, Actor(blocked.id, "blocked")) is Role.NONE
    gitlab.fault("GET", "/members/all/", status=500, times=3)
    await raises("GW-FORGE-UNAVAILABLE", forge.role(repo, Actor(mira.id, "mira")))
    gitlab.fault("GET", "/members/all/", status=403)
    await raises("GW-FORGE-FORBIDDEN", forge.role(repo, Actor(mira.id, "mira")))


async def test_people_are_told_from_bots_by_the_api(gitlab: GitLabSimulator, gitlab_bot: Bots, mira: Person) -> None:
    """Never by a name: a person may be called like a bot."""
    forge = gitlab_bot(mira.project)
    named = gitlab.user("project_1_bot", mira.project, "developer")
    machine, _ = gitlab.access_token(mira.project)
    unknown = AccountKind.UNKNOWN
    assert (await forge.account(Actor(named.id, "project_1_bot", unknown))).kind is AccountKind.HUMAN
    assert (await forge.account(Actor(machine.id, "mira", unknown))).kind is AccountKind.BOT
    named.is_blocked()
    assert (await forge.account(Actor(named.id, "project_1_bot", unknown))).kind is unknown
    assert (await forge.account(Actor(999_999, "nobody", unknown))).kind is unknown
    assert (await forge.account(Actor(0, "ghost", unknown))).kind is unknown


async def test_notes_on_an_issue_and_a_merge_request_of_the_same_number(
    gitlab: GitLabSimulator, gitlab_bot: Bots, mira: Person
) -> None:
    """Numbers say nothing about where a note is; its own id does."""
    repo, forge = gitlab.repo(mira.project), gitlab_bot(mira.project)
    issue = mira.opens_issue("a")
    mira.commits("work", {"a.txt": "a"})
    change = mira.opens_change("b", "work")
    assert issue == change == 1
    on_issue, on_change = mira.comments(1, "/gatewright status"), mira.comments(1, "@gatewright help", on_change=True)
    assert on_issue
    assert on_change
    fresh = gitlab_bot(mira.project)  # knows nothing of either
    await fresh.react(repo, 1, on_change, "eyes")
    await fresh.comment(repo, 1, "an answer there <!-- m -->", answering=on_change)
    await forge.comment(repo, 1, "an answer here <!-- m -->", answering=on_issue)
    await forge.comment(repo, 1, "a review's answer", on_change=True)
    notes = [n.body for n in mira.project.issues[1].notes if not n.system]
    assert notes == ["/gatewright status", "an answer here <!-- m -->"]
    notes = [n.body for n in mira.project.merge_requests[1].notes if not n.system]
    assert notes == ["@gatewright help", "an answer there <!-- m -->", "a review's answer"]
    seen = await fresh.get_comment(repo, 1, on_change)
    assert seen is not None
    assert (seen.author.id, seen.body) == (mira.id, "@gatewright help")
    here = await forge.find_comment(repo, 1, "<!-- m -->")
    there = await fresh.find_comment(repo, 1, "<!-- m -->", on_change=True)
    assert None not in (here, there)
    assert here != there
    assert await fresh.find_comment(repo, 1, "<!-- m -->", answering=on_change) == there


async def test_a_note_is_posted_edited_and_gone(gitlab: GitLabSimulator, gitlab_bot: Bots, mira: Person) -> None:
    repo, forge = gitlab.repo(mira.project), gitlab_bot(mira.project)
    number, other = mira.opens_issue("a"), mira.opens_issue("b")
    made = await forge.comment(repo, number, "# Spec\n<!-- marker -->")
    await forge.edit_comment(repo, number, made, "# Spec 2")
    seen = await forge.get_comment(repo, number, made)
    assert seen is not None
    assert seen.body == "# Spec 2"
    assert await gitlab_bot(mira.project).get_comment(repo, other, made) is None
    told = mira.comments(number, "hello")
    assert told
    await forge.react(repo, number, told, "eyes")
    await forge.react(repo, number, told, "eyes")  # refused by GitLab, and no fault
    mira.deletes_note(told)
    assert await forge.get_comment(repo, number, told) is None
    await raises("GW-FORGE-NOT-FOUND", forge.react(repo, number, told, "eyes"))


async def test_a_note_that_somebody_edited_shows_it(gitlab: GitLabSimulator, gitlab_bot: Bots, mira: Person) -> None:
    """Author, text and time are what hearing compares."""
    repo, forge, number = gitlab.repo(mira.project), gitlab_bot(mira.project), mira.opens_issue("a")
    told = mira.comments(number, "/gatewright status")
    assert told
    before = await forge.get_comment(repo, number, told)
    gitlab.skew(60)
    gitlab.user("boss", mira.project, "maintainer").edits_note(told, "/gatewright approve")
    after = await forge.get_comment(repo, number, told)
    assert before is not None
    assert after is not None
    assert after.author == before.author
    assert after.body != before.body
    assert after.updated_ms > before.updated_ms == before.created_ms


async def test_no_text_of_the_bot_acts(gitlab: GitLabSimulator, gitlab_bot: Bots, mira: Person) -> None:
    """Through every call that carries words; the bot's token could merge."""
    repo, forge, number = gitlab.repo(mira.project), gitlab_bot(mira.project), mira.opens_issue("a")
    mira.commits("work", {"a.txt": "a"})
    hostile = "/close\nHe said:\r/label ~admin\n/merge\n```\nx\n```\n/assign @root"
    note = await forge.comment(repo, number, hostile)
    await forge.edit_comment(repo, number, note, f"again\n{hostile}")
    made = await forge.open_change(repo, branch="work", base="main", title="/draft\nx", body=hostile, draft=False)
    await forge.edit_change(repo, made.number, body=f"\n  {hostile}")
    assert gitlab.executed == []
    assert mira.project.issues[number].state == "opened"
    assert "/close" in mira.project.merge_requests[made.number].description
    seen = await forge.get_comment(repo, number, note)
    assert seen is not None
    assert "/label ~admin" in seen.body


async def test_a_long_text_becomes_several_notes_and_the_last_has_the_marker(
    gitlab: GitLabSimulator, gitlab_bot: Bots, mira: Person
) -> None:
    repo, forge, number = gitlab.repo(mira.project), gitlab_bot(mira.project), mira.opens_issue("a")
    made = await forge.comment(repo, number, "word " * 250_000 + "\n<!-- marker -->")
    notes = mira.project.issues[number].notes
    assert len(notes) == 2
    assert notes[-1].id == made == await forge.find_comment(repo, number, "<!-- marker -->")


async def test_the_bot_leaves_room_for_people(gitlab: GitLabSimulator, gitlab_bot: Bots, mira: Person) -> None:
    """GitLab takes 5,000 notes and then nobody's."""
    import copy

    repo, forge, number = gitlab.repo(mira.project), gitlab_bot(mira.project), mira.opens_issue("a")
    await forge.comment(repo, number, "one")
    [note] = mira.project.issues[number].notes
    gitlab.do(lambda: mira.project.issues[number].notes.extend(copy.copy(note) for _ in range(4_499)))
    error = await raises("GW-FORGE-FULL", forge.comment(repo, number, "one more"))
    assert "4500" in error.why
    await forge.edit_comment(repo, number, note.id, "edits go on")


async def test_a_marker_counts_only_in_our_own_note(gitlab: GitLabSimulator, gitlab_bot: Bots, mira: Person) -> None:
    repo, forge, number = gitlab.repo(mira.project), gitlab_bot(mira.project), mira.opens_issue("a")
    mira.comments(number, "<!-- gw:1 -->")
    assert await forge.find_comment(repo, number, "<!-- gw:1 -->") is None
    ours = await forge.comment(repo, number, "text <!-- gw:1 -->")
    for index in range(120):
        mira.comments(number, f"noise {index} <!-- gw:1 -->")
    assert await forge.find_comment(repo, number, "<!-- gw:1 -->") == ours
    assert await forge.find_comment(repo, 999, "<!-- gw:1 -->") is None


async def test_a_status_can_be_set_again_and_turn(gitlab: GitLabSimulator, gitlab_bot: Bots, mira: Person) -> None:
    """GitLab refuses the state a status is in already; that is what was wanted."""
    repo, forge = gitlab.repo(mira.project), gitlab_bot(mira.project)
    head = await forge.head(repo, "main")
    for state in (StatusState.PENDING, StatusState.PENDING, StatusState.SUCCESS, StatusState.PENDING):
        await forge.set_status(repo, head, state, "gatewright/change", "w" * 300)
    await raises("GW-FORGE-NOT-FOUND", forge.set_status(repo, "f" * 40, StatusState.SUCCESS, "x", "y"))


async def test_the_life_of_a_change(gitlab: GitLabSimulator, gitlab_bot: Bots, mira: Person) -> None:
    """Open as a draft, find by branch, edit, merge; another person's merge request is not ours."""
    repo, forge = gitlab.repo(mira.project), gitlab_bot(mira.project, level="maintainer")
    tip = mira.commits("gatewright/1-abcdef-sort", {"a.txt": "a"})
    assert await forge.find_change(repo, "gatewright/1-abcdef-sort") is None
    made = await forge.open_change(
        repo, branch="gatewright/1-abcdef-sort", base="main", title="Sort", body="Report", draft=True
    )
    assert (made.head, made.is_draft, made.is_open, made.branch) == (tip, True, True, "gatewright/1-abcdef-sort")
    assert mira.project.merge_requests[made.number].title == "Draft: Sort"
    assert await forge.find_change(repo, made.branch) == made
    await forge.edit_change(repo, made.number, body="Report 2")
    assert mira.project.merge_requests[made.number].description == "Report 2"
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
    mira.is_granted("maintainer").merges(second.number)
    merged = await forge.get_change(repo, second.number)
    assert merged is not None
    assert (merged.is_merged, merged.is_open) == (True, False)
    mira.commits("theirs", {"b.txt": "b"})
    mira.opens_change("Theirs", "theirs")
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


async def test_a_rate_limit_is_sat_out(gitlab: GitLabSimulator, gitlab_bot: Bots, mira: Person) -> None:
    """For as long as GitLab says, also for requests that come in the meantime."""
    repo, forge = gitlab.repo(mira.project), gitlab_bot(mira.project)
    number = mira.opens_issue("a")
    limit = gitlab.limit("GET", "/issues/", seconds=1)
    began = time.monotonic()
    assert await forge.issue(repo, number) is not None
    assert time.monotonic() - began >= 0.9
    assert limit.hits == 1


async def test_a_long_rate_limit_is_said_and_kept_to(gitlab: GitLabSimulator, gitlab_bot: Bots, mira: Person) -> None:
    """Nothing is asked until it is over: python-gitlab alone would sleep in the thread for as long as it is told."""
    repo, forge = gitlab.repo(mira.project), gitlab_bot(mira.project)
    number = mira.opens_issue("a")
    limit = gitlab.limit("POST", "/notes$", seconds=600)
    began = time.monotonic()
    error = await raises("GW-FORGE-RATE", forge.comment(repo, number, "a"))
    assert "600 s" in error.why
    before = len(gitlab.exchanges)
    await raises("GW-FORGE-RATE", forge.issue(repo, number))
    assert time.monotonic() - began < 3
    assert (limit.hits, len(gitlab.exchanges)) == (1, before)


async def test_ratelimit_reset_counts_where_there_is_no_retry_after(
    gitlab: GitLabSimulator, gitlab_bot: Bots, mira: Person
) -> None:
    repo, number = gitlab.repo(mira.project), mira.opens_issue("a")
    headers = {"ratelimit-reset": str(int(time.time()) + 500), "content-type": "text/plain"}
    gitlab.fault("GET", "/issues/", status=429, headers=headers, body=b"Retry later\n")
    error = await raises("GW-FORGE-RATE", gitlab_bot(mira.project).issue(repo, number))
    assert "49" in error.why or "500" in error.why


async def test_reads_are_repeated_and_posts_are_not(gitlab: GitLabSimulator, gitlab_bot: Bots, mira: Person) -> None:
    """A note whose answer was lost may have been posted, and was: the marker finds it."""
    repo, forge, number = gitlab.repo(mira.project), gitlab_bot(mira.project), mira.opens_issue("a")
    late = gitlab.fault("GET", r"/issues/\d+$", status=502, times=2)
    assert await forge.issue(repo, number) is not None
    assert late.hits == 2
    gitlab.fault("POST", "/notes$", cut=True)
    with pytest.raises(Unavailable) as caught:
        await forge.comment(repo, number, "once <!-- gw:9 -->")
    assert caught.value.code == "GW-FORGE-UNAVAILABLE"
    assert len(mira.project.issues[number].notes) == 1
    assert await forge.find_comment(repo, number, "<!-- gw:9 -->") == mira.project.issues[number].notes[0].id


async def test_an_event_may_be_faster_than_what_it_tells_of(
    gitlab: GitLabSimulator, gitlab_bot: Bots, mira: Person
) -> None:
    number = mira.opens_issue("fresh")
    late = gitlab.fault("GET", r"/issues/\d+$", status=404, times=2)
    assert await gitlab_bot(mira.project).issue(gitlab.repo(mira.project), number) is not None
    assert late.hits == 2


async def test_a_redirect_is_not_followed(gitlab: GitLabSimulator, gitlab_bot: Bots, mira: Person) -> None:
    """It would carry the token to wherever it points."""
    before = len(gitlab.exchanges)
    where = {"location": f"{gitlab.url}/api/v4/elsewhere"}
    for method, call in (("GET", "issue"), ("POST", "comment")):
        gitlab.fault(method, "/(issues/1|notes)$", status=302, headers=where, body=b"")
        forge = gitlab_bot(mira.project)
        args = (gitlab.repo(mira.project), mira.opens_issue("a")) + (("x",) if call == "comment" else ())
        error = await raises("GW-FORGE-MOVED", getattr(forge, call)(*args))
        assert "[gitlab] url" in error.fix
    assert not [e for e in gitlab.exchanges[before:] if "elsewhere" in e.path]


async def test_a_token_that_is_bad_or_too_narrow_says_so(
    gitlab: GitLabSimulator, gitlab_bot: Bots, mira: Person
) -> None:
    repo, number = gitlab.repo(mira.project), mira.opens_issue("a")
    bad = GitLab(gitlab.table(token="glpat-wrong"), pace=QUICK)
    error = await raises("GW-FORGE-AUTH", bad.issue(repo, number))
    assert "token" in error.fix
    await bad.close()
    narrow = gitlab_bot(mira.project, scopes={"read_api"})
    error = await raises("GW-FORGE-FORBIDDEN", narrow.comment(repo, number, "a"))
    assert error.fix


async def test_notes_keep_their_distance(gitlab: GitLabSimulator, gitlab_bot: Bots, mira: Person) -> None:
    forge = gitlab_bot(mira.project, pace=Pace(write_gap=0.5))
    repo, number = gitlab.repo(mira.project), mira.opens_issue("a")
    began = time.monotonic()
    first, second = await asyncio.gather(*(forge.comment(repo, number, str(n)) for n in range(2)))
    assert time.monotonic() - began >= 0.5
    assert first != second


async def test_requests_at_once_share_one_thread(gitlab: GitLabSimulator, gitlab_bot: Bots, mira: Person) -> None:
    """python-gitlab's session is not made for several."""
    import threading

    repo, forge, number = gitlab.repo(mira.project), gitlab_bot(mira.project), mira.opens_issue("a")
    seen = await asyncio.gather(*(forge.issue(repo, number) for _ in range(20)))
    assert len({issue.title for issue in seen if issue}) == 1
    assert sum(thread.name.startswith("gitlab_") for thread in threading.enumerate()) == 1
