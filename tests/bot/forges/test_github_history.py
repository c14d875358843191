"""What GitHub remembers, as the rules need it: exact where GitHub is, and never more than it proves."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from bot.forges.github import GitHub
from bot.forges.protocol import LastChange
from bot.model.event import AccountKind, Arrival
from tests.bot.forges.conftest import raises
from tests.simulators.github import GitHubSimulator
from tests.simulators.github.people import Person

Bots = Callable[..., GitHub]


@pytest.fixture
def mira(github: GitHubSimulator) -> Person:
    repo = github.repository("octo/shop")
    github.install(repo)
    return github.user("mira", repo, "write")


async def test_a_label_set_through_an_app_says_so(github: GitHubSimulator, bot: Bots, mira: Person) -> None:
    """In the person's name, yet not by the person."""
    number = mira.opens_issue("a")
    mira.labels_issue(number, "one")
    mira.labels_issue(number, "two", via_app=True)
    seen = await bot().label_events(github.repo(mira.repo), number)
    assert [(event.label, event.actor.id, event.is_by_app) for event in seen] == [
        ("one", mira.id, False),
        ("two", mira.id, True),
    ]


async def test_a_bot_that_labels_is_one_by_its_type(github: GitHubSimulator, bot: Bots, mira: Person) -> None:
    """Whatever it is called."""
    number = mira.opens_issue("a")
    github.user("friendly-person", mira.repo, "write", kind="Bot").labels_issue(number, "gatewright")
    github.user("almost[bot]", mira.repo, "write").labels_issue(number, "other")
    seen = await bot().label_events(github.repo(mira.repo), number)
    assert [event.actor.kind for event in seen] == [AccountKind.BOT, AccountKind.HUMAN]


async def test_odd_entries_of_a_history_name_nobody(github: GitHubSimulator, bot: Bots, mira: Person) -> None:
    """A deleted account is the powerless ghost; an entry without time or label proves nothing."""
    number = mira.opens_issue("a")
    at = "2026-11-21T10:00:00Z"
    entries = [
        {"event": "labeled", "label": {"name": "gatewright"}, "actor": None, "created_at": at},
        {"event": "labeled", "label": {"name": "gatewright"}, "actor": None},
        {"event": "labeled", "actor": None, "created_at": at},
        {"event": "mentioned"},
    ]
    github.fault("GET", "/events$", status=200, body=json.dumps(entries).encode())
    (seen,) = await bot().label_events(github.repo(mira.repo), number)
    assert (seen.actor.id, seen.actor.kind, seen.at_ms) == (0, AccountKind.UNKNOWN, 1_795_255_200_000)


async def test_a_transfer_leaves_its_trace_and_keeps_what_was_said(
    github: GitHubSimulator, bot: Bots, mira: Person
) -> None:
    """Here it is new; its age and its author are those of the place it came from."""
    elsewhere = mira.within(github.repository("octo/elsewhere"))
    old = elsewhere.opens_issue("from elsewhere")
    elsewhere.comments(old, "said there")
    forge, repo = bot(), github.repo(mira.repo)
    number, own = elsewhere.transfers_issue(old, mira.repo), mira.opens_issue("opened here")
    moved, opened = await forge.issue(repo, number), await forge.issue(repo, own)
    assert moved is not None
    assert opened is not None
    assert (moved.arrival, opened.arrival) == (Arrival.MOVED, Arrival.OPENED)
    assert moved.created_ms == int(mira.repo.issues[number].created.timestamp() * 1000) > 0
    assert [comment.body for comment in await forge.comments(repo, number, 0)] == ["said there"]


async def test_an_issue_whose_history_cannot_be_read_is_not_read(
    github: GitHubSimulator, bot: Bots, mira: Person
) -> None:
    """How it came here would be a guess."""
    number = mira.opens_issue("a")
    github.fault("GET", "/events$", status=500, times=3)
    await raises("GW-FORGE-UNAVAILABLE", bot().issue(github.repo(mira.repo), number))


async def test_comments_count_by_when_they_were_made(github: GitHubSimulator, bot: Bots, mira: Person) -> None:
    """An old one that was edited just now is not new, though GitHub lists it so; seconds are whole."""
    number = mira.opens_issue("a")
    old = mira.comments(number, "old")
    github.skew(120)
    mira.edits_comment(old, "edited just now")
    new = mira.comments(number, "new")
    forge, repo = bot(), github.repo(mira.repo)
    both = await forge.comments(repo, number, 0)
    assert [comment.id for comment in both] == [old, new]
    since = both[1].created_ms
    assert [comment.id for comment in await forge.comments(repo, number, both[0].created_ms + 60_000)] == [new]
    assert [comment.id for comment in await forge.comments(repo, number, since + 999)] == [new]  # 10:00:00.999
    assert await forge.comments(repo, number, since + 1_000) == ()


async def test_a_comparison_names_both_paths_of_a_renamed_file(
    github: GitHubSimulator, bot: Bots, mira: Person
) -> None:
    """Whoever owns the old place has a say as well."""
    text = "\n".join(f"line {index}" for index in range(20))
    base = mira.commits("main", {"old/a.txt": text})
    head = mira.pushes("work", {"old/a.txt": None, "new/a.txt": text, "b.txt": "b"})
    seen = await bot().compare(github.repo(mira.repo), base, head)
    assert (seen.is_ancestor, set(seen.paths), seen.is_whole) == (True, {"old/a.txt", "new/a.txt", "b.txt"}, True)


@pytest.mark.parametrize(("files", "is_whole"), [(299, True), (300, False), (310, False)])
async def test_a_list_of_paths_that_github_cuts_is_not_whole(
    github: GitHubSimulator, bot: Bots, mira: Person, files: int, is_whole: bool
) -> None:
    """At its limit nobody knows whether there is more."""
    mira.commits("work", {f"f{index}.txt": "x" for index in range(files)})
    seen = await bot().compare(github.repo(mira.repo), "main", "work")
    assert (len(seen.paths), seen.is_whole) == (min(files, 300), is_whole)


async def test_what_is_no_ancestor_has_no_whole_list(github: GitHubSimulator, bot: Bots, mira: Person) -> None:
    """GitHub names what one side did since they parted, which is not all they differ in."""
    base, head = github.hosting.branch(mira.repo, "main"), mira.commits("feature/a", {"a.txt": "a"})
    assert base is not None
    behind = await bot().compare(github.repo(mira.repo), head, base)
    assert (behind.is_ancestor, behind.is_whole) == (False, False)
    mira.commits("main", {"b.txt": "b"})
    apart = await bot().compare(github.repo(mira.repo), "main", "feature/a")
    assert (apart.is_ancestor, apart.paths, apart.is_whole) == (False, ("a.txt",), False)


async def test_a_status_that_github_has_not_yet_invented_is_no_ancestor(
    github: GitHubSimulator, bot: Bots, mira: Person
) -> None:
    github.fault("GET", "/compare/", status=200, body=b'{"status": "probably", "files": []}')
    assert not (await bot().compare(github.repo(mira.repo), "main", "main")).is_ancestor


async def test_the_last_change_names_the_account_that_git_was_told(
    github: GitHubSimulator, bot: Bots, mira: Person
) -> None:
    """By the address of the author; an address that nobody has is nobody's."""
    sha = mira.commits("main", {"CODEOWNERS": "* @octo/leads\n"})
    forge, repo = bot(), github.repo(mira.repo)
    assert await forge.last_change(repo, "CODEOWNERS", "main") == LastChange(sha, mira.id)
    first = await forge.last_change(repo, "README.md", "main")
    assert first is not None
    assert first.by == 0
    assert await forge.last_change(repo, "CODEOWNERS", "nowhere") is None


async def test_a_change_from_a_fork_says_where_it_is_from(github: GitHubSimulator, bot: Bots, mira: Person) -> None:
    """And one whose fork is gone says nothing."""
    fork = github.repository("mallory/shop")
    mallory = github.user("mallory", fork)
    mallory.commits("gatewright/1-abcdef-sort", {"a.txt": "a"})
    base = github.hosting.fetch(mira.repo, fork, "main")  # a fork shares history
    assert base is not None
    github.hosting.set_ref(mira.repo, "refs/heads/main", base)
    number = mallory.within(mira.repo).opens_pull("Sort", "gatewright/1-abcdef-sort", fork=fork)
    forge, repo = bot(), github.repo(mira.repo)
    seen = await forge.get_change(repo, number)
    assert seen is not None
    assert seen.source == fork.id != repo.id
    assert await forge.find_change(repo, "gatewright/1-abcdef-sort") is None
    head = {"sha": seen.head, "ref": "gatewright/1-abcdef-sort", "repo": None}
    github.fault("GET", r"/pulls/\d+$", status=200, body=json.dumps({"number": number, "head": head}).encode())
    gone = await forge.get_change(repo, number)
    assert gone is not None
    assert gone.source == 0
