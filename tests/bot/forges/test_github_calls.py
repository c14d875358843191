"""How a repository of GitHub is reached: by its id, page by page, and no further than can be read."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from bot.forges import github_history
from bot.forges.github import GitHub
from bot.forges.github_shapes import CommentShape
from bot.forges.protocol import Visibility
from bot.model.event import Repo
from tests.bot.forges.conftest import raises
from tests.simulators.github import GitHubSimulator
from tests.simulators.github.people import Person

Bots = Callable[..., GitHub]


@pytest.fixture
def mira(github: GitHubSimulator) -> Person:
    repo = github.repository("octo/shop")
    github.install(repo)
    return github.user("mira", repo, "write")


async def test_pages_are_read_to_the_end_or_say_that_there_is_more(
    github: GitHubSimulator, bot: Bots, mira: Person
) -> None:
    repo, number = github.repo(mira.repo), mira.opens_issue("a")
    for index in range(101):
        mira.comments(number, str(index))
    calls, path = bot()._calls, "/issues/{number}/comments{?per_page,page}"
    found, is_whole = await calls.pages(repo, path, CommentShape, "comments", most=2, number=number)
    assert ([shape.body for shape in found[-2:]], len(found), is_whole) == (["99", "100"], 101, True)
    found, is_whole = await calls.pages(repo, path, CommentShape, "comments", most=1, number=number)
    assert (len(found), is_whole) == (100, False)


async def test_a_history_that_is_too_long_is_not_judged(
    github: GitHubSimulator, bot: Bots, mira: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was done after the part that is read could be anything."""
    monkeypatch.setattr(github_history, "EVENT_PAGES", 1)  # three thousand entries would take a minute to make
    number = mira.opens_issue("a")
    for _ in range(50):
        mira.labels_issue(number, "gatewright")
        mira.unlabels_issue(number, "gatewright")
    repo, forge = github.repo(mira.repo), bot()
    await raises("GW-FORGE-FULL", forge.label_events(repo, number))
    await raises("GW-FORGE-FULL", forge.issue(repo, number))


@pytest.mark.parametrize("to", list(Visibility))
async def test_who_may_read_a_repository_is_read_from_github(
    github: GitHubSimulator, bot: Bots, mira: Person, to: Visibility
) -> None:
    github.user("octo", mira.repo).changes_visibility(to.value)
    assert (await bot().home(github.repo(mira.repo))).visibility is to


async def test_a_transferred_repository_has_another_owner(github: GitHubSimulator, bot: Bots, mira: Person) -> None:
    """It is found under its number, as its owner is."""
    before, forge = github.repo(mira.repo), bot()
    old, new = await forge.home(before), github.user("newcomer", mira.repo)
    github.user("octo", mira.repo).transfers_repository(new.user)
    github.install(mira.repo)
    home = await bot().home(before)
    assert (old.owner, home.owner, home.repo.path) == (github.world.users["octo"].id, new.id, "newcomer/shop")
    assert home.repo == Repo(before.forge, before.host, before.id, "newcomer/shop")
