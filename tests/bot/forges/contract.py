"""What every forge does alike; a file beside this one per forge says how it is set up."""

from __future__ import annotations

from typing import Protocol

import pytest

from bot.forges.protocol import Change, Forge, Role, StatusState
from bot.model.errors import GatewrightError
from bot.model.event import AccountKind, Actor, Repo

MARK = "<!-- gatewright:v1 task=1-abcdef kind=gate.spec rev=1 -->"
BRANCH = "gatewright/1-abcdef-sort"


class Stage(Protocol):
    """One forge with one repository on it, and a person who may write there."""

    forge: Forge
    repo: Repo
    person: Actor  # as an event names them
    believes_reviews: bool

    def opens_issue(self, title: str, body: str, label: str) -> int:
        """Let the person open an issue."""

    def says(self, number: int, body: str) -> int:
        """Let the person comment on an issue."""

    def commits(self, branch: str) -> str:
        """Put a commit on a branch."""


class Contract:
    """The tests; pytest collects them from each subclass, which brings a fixture `stage`."""

    async def test_the_bot_knows_itself(self, stage: Stage) -> None:
        me = await stage.forge.me()
        assert me.id
        assert me == await stage.forge.me()
        assert me.id != stage.person.id

    async def test_the_repository_is_where_its_id_is(self, stage: Stage) -> None:
        home = await stage.forge.home(stage.repo)
        assert home.repo.key == stage.repo.key
        assert home.default_branch == "main"
        assert home.clone_url
        assert await stage.forge.head(stage.repo, "main")

    async def test_a_branch_that_is_not_there_is_an_error(self, stage: Stage) -> None:
        with pytest.raises(GatewrightError):
            await stage.forge.head(stage.repo, "nowhere")

    async def test_files_are_bytes_or_none(self, stage: Stage) -> None:
        tip = await stage.forge.head(stage.repo, "main")
        assert await stage.forge.file(stage.repo, "README.md", tip) == b"# Shop\n"
        assert await stage.forge.file(stage.repo, "none/such.txt", tip) is None

    async def test_an_issue_is_read_as_it_stands(self, stage: Stage) -> None:
        number = stage.opens_issue("Sort by price", "Cheapest first", "gatewright")
        seen = await stage.forge.issue(stage.repo, number)
        assert seen is not None
        assert (seen.number, seen.title, seen.body, seen.labels) == (
            number, "Sort by price", "Cheapest first", ("gatewright",),
        )  # fmt: skip
        assert seen.is_open
        assert not seen.is_locked
        assert not seen.is_confidential
        assert seen.author is not None
        assert seen.author.id == stage.person.id
        assert await stage.forge.issue(stage.repo, number + 1_000) is None

    async def test_a_person_has_a_role_and_is_known_as_one(self, stage: Stage) -> None:
        assert (await stage.forge.role(stage.repo, stage.person)).at_least(Role.WRITE)
        assert (await stage.forge.account(stage.person)).kind is AccountKind.HUMAN

    async def test_somebody_unknown_has_none(self, stage: Stage) -> None:
        nobody = Actor(999_999_999, "nobody", AccountKind.UNKNOWN)
        assert await stage.forge.role(stage.repo, nobody) is Role.NONE
        assert (await stage.forge.account(nobody)).kind is not AccountKind.HUMAN

    async def test_a_comment_is_posted_found_edited_and_read_again(self, stage: Stage) -> None:
        number = stage.opens_issue("a", "", "x")
        stage.says(number, f"I can type a marker, too: {MARK}")
        assert await stage.forge.find_comment(stage.repo, number, MARK) is None
        made = await stage.forge.comment(stage.repo, number, f"# Spec\n\nText\n\n{MARK}")
        assert await stage.forge.find_comment(stage.repo, number, MARK) == made
        await stage.forge.edit_comment(stage.repo, number, made, f"# Spec 2\n\n{MARK}")
        seen = await stage.forge.get_comment(stage.repo, number, made)
        assert seen is not None
        assert seen.body == f"# Spec 2\n\n{MARK}"
        assert seen.author.id == (await stage.forge.me()).id
        assert await stage.forge.get_comment(stage.repo, number, made + 100_000) is None

    async def test_a_persons_comment_is_read_with_its_author(self, stage: Stage) -> None:
        number = stage.opens_issue("a", "", "x")
        said = stage.says(number, "@gatewright status")
        seen = await stage.forge.get_comment(stage.repo, number, said)
        assert seen is not None
        assert (seen.id, seen.author.id, seen.body) == (said, stage.person.id, "@gatewright status")
        assert seen.created_ms == seen.updated_ms > 0

    async def test_ids_of_comments_grow(self, stage: Stage) -> None:
        """An approval that is older than what it approves is told by this."""
        number = stage.opens_issue("a", "", "x")
        ids = [await stage.forge.comment(stage.repo, number, str(index)) for index in range(3)]
        ids.append(stage.says(number, "later"))
        assert ids == sorted(set(ids))

    async def test_an_answer_stands_where_the_question_does(self, stage: Stage) -> None:
        number = stage.opens_issue("a", "", "x")
        said = stage.says(number, "@gatewright help")
        made = await stage.forge.comment(stage.repo, number, f"answer {MARK}", answering=said)
        assert await stage.forge.find_comment(stage.repo, number, MARK, answering=said) == made

    async def test_a_reaction_twice_is_no_error(self, stage: Stage) -> None:
        number = stage.opens_issue("a", "", "x")
        said = stage.says(number, "@gatewright status")
        await stage.forge.react(stage.repo, number, said, "eyes")
        await stage.forge.react(stage.repo, number, said, "eyes")

    async def test_a_status_is_set_again_and_turns(self, stage: Stage) -> None:
        tip = await stage.forge.head(stage.repo, "main")
        for state in (StatusState.PENDING, StatusState.PENDING, StatusState.SUCCESS, StatusState.PENDING):
            await stage.forge.set_status(stage.repo, tip, state, "gatewright/change", "waits " * 100)

    async def test_a_change_lives_from_draft_to_closed(self, stage: Stage) -> None:
        tip = stage.commits(BRANCH)
        assert await stage.forge.find_change(stage.repo, BRANCH) is None
        made = await stage.forge.open_change(
            stage.repo, branch=BRANCH, base="main", title="Sort", body="Report", draft=True
        )
        assert (made.branch, made.head, made.is_open, made.is_merged, made.is_draft) == (BRANCH, tip, True, False, True)
        assert await stage.forge.find_change(stage.repo, BRANCH) == made
        await stage.forge.edit_change(stage.repo, made.number, body="Report 2")
        await stage.forge.close_change(stage.repo, made.number)
        closed: Change | None = await stage.forge.get_change(stage.repo, made.number)
        assert closed is not None
        assert (closed.is_open, closed.is_merged) == (False, False)
        assert await stage.forge.get_change(stage.repo, made.number + 1_000) is None

    async def test_a_comment_on_a_change_is_told_from_one_on_an_issue(self, stage: Stage) -> None:
        """Whether or not the forge numbers them in one row."""
        stage.commits(BRANCH)
        made = await stage.forge.open_change(stage.repo, branch=BRANCH, base="main", title="S", body="", draft=False)
        on = await stage.forge.comment(stage.repo, made.number, f"here {MARK}", on_change=True)
        assert await stage.forge.find_comment(stage.repo, made.number, MARK, on_change=True) == on
        assert await stage.forge.find_comment(stage.repo, made.number, MARK, answering=on) == on
        await stage.forge.edit_comment(stage.repo, made.number, on, "edited")
        seen = await stage.forge.get_comment(stage.repo, made.number, on)
        assert seen is not None
        assert seen.body == "edited"

    async def test_nobody_approves_what_was_just_opened(self, stage: Stage) -> None:
        """Save where the forge has no such thing to ask for, and the event's own word counts."""
        stage.commits(BRANCH)
        made = await stage.forge.open_change(stage.repo, branch=BRANCH, base="main", title="S", body="", draft=False)
        assert await stage.forge.approves(stage.repo, made.number, stage.person) is stage.believes_reviews

    async def test_a_credential_for_git_says_nothing_when_shown(self, stage: Stage) -> None:
        access = await stage.forge.git_access(stage.repo, write=True)
        assert access is None or (access.username and access.password)
