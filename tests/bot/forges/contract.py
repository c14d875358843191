"""What every forge does alike; a file beside this one per forge says how it is set up.

`Contract` holds for all forges and needs a `Stage`; `Governance` holds for those with accounts, groups and protection,
and needs a `Governed` stage. Hooks are few and say what people do, never how a forge does it.
"""

from __future__ import annotations

from typing import Protocol

import pytest

from bot.forges.errors import MERGE
from bot.forges.protocol import Change, Forge, StatusState, Visibility
from bot.model.errors import GatewrightError
from bot.model.event import AccountKind, Actor, Arrival, Repo
from bot.model.role import Role

MARK = "<!-- gatewright:v1 task=1-abcdef kind=gate.spec rev=1 -->"
BRANCH = "gatewright/1-abcdef-sort"
STATUS = "gatewright/change"


class Stage(Protocol):
    """One forge with one repository on it, and a person who may write there."""

    forge: Forge
    repo: Repo
    person: Actor  # as an event names them

    def opens_issue(self, title: str, body: str, label: str) -> int:
        """Let the person open an issue."""

    def says(self, number: int, body: str) -> int:
        """Let the person comment on an issue."""

    def commits(self, branch: str, path: str = "a.txt") -> str:
        """Put a commit on a branch that holds one new file, and name it; a new branch begins at `main`."""


class Governed(Stage, Protocol):
    """The same where there are accounts; everything is done by the person unless it says otherwise."""

    holds_any_status: bool  # a protected branch is held to all statuses, or to the bot, not to one context

    def labels(self, number: int, label: str) -> None:
        """Put a label on an issue."""

    def unlabels(self, number: int, label: str) -> None:
        """Take it off."""

    def moves_in(self) -> int:
        """Let an issue that was opened elsewhere be moved into the repository; its number here."""

    def edits_issue(self, number: int, title: str) -> None:
        """Give an issue another title."""

    def joins(self) -> tuple[str, str]:
        """Become an active member of a new group; its number and its path, as `membership` takes them."""

    def leaves(self) -> None:
        """Leave that group."""

    def is_renamed(self, login: str) -> None:
        """Take another login."""

    def publishes(self) -> None:
        """Let an owner make the repository public."""

    def protects(self, branch: str, context: str) -> None:
        """Let an owner hold merges into a branch to our status, for everybody."""

    def released(self) -> list[str]:
        """List the commits whose CI was started by `release_ci`."""


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
        assert 0 < seen.created_ms <= seen.updated_ms
        assert seen.arrival is Arrival.OPENED
        assert await stage.forge.issue(stage.repo, number + 1_000) is None

    async def test_a_person_has_a_role_and_is_known_as_one(self, stage: Stage) -> None:
        assert (await stage.forge.role(stage.repo, stage.person)).at_least(Role.WRITE)
        assert (await stage.forge.account(stage.repo, stage.person)).kind is AccountKind.HUMAN

    async def test_somebody_unknown_has_none(self, stage: Stage) -> None:
        nobody = Actor(999_999_999, "nobody", AccountKind.UNKNOWN)
        assert await stage.forge.role(stage.repo, nobody) is Role.NONE
        assert (await stage.forge.account(stage.repo, nobody)).kind is not AccountKind.HUMAN

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
        stage.commits(BRANCH)
        made = await stage.forge.open_change(stage.repo, branch=BRANCH, base="main", title="S", body="", draft=False)
        assert await stage.forge.approves(stage.repo, made.number, stage.person) is False

    async def test_a_credential_for_git_says_nothing_when_shown(self, stage: Stage) -> None:
        access = await stage.forge.git_access(stage.repo, write=True)
        assert access is None or (access.username and access.password)

    async def test_comments_are_listed_from_a_time_on(self, stage: Stage) -> None:
        number, other = stage.opens_issue("a", "", "x"), stage.opens_issue("b", "", "x")
        ids = [stage.says(number, text) for text in ("one", "two")]
        stage.says(other, "elsewhere")
        ids.append(await stage.forge.comment(stage.repo, number, "three"))
        seen = await stage.forge.comments(stage.repo, number, 0)
        assert [(comment.id, comment.body) for comment in seen] == list(zip(ids, ("one", "two", "three"), strict=True))
        assert [comment.author.id for comment in seen[:2]] == [stage.person.id] * 2
        assert await stage.forge.comments(stage.repo, number, seen[0].created_ms) == seen
        assert await stage.forge.comments(stage.repo, number, seen[-1].created_ms + 3_600_000) == ()

    async def test_comments_on_a_change_are_its_own(self, stage: Stage) -> None:
        number = stage.opens_issue("a", "", "x")
        stage.says(number, "on the issue")
        stage.commits(BRANCH)
        made = await stage.forge.open_change(stage.repo, branch=BRANCH, base="main", title="S", body="", draft=False)
        on = await stage.forge.comment(stage.repo, made.number, "on the change", on_change=True)
        assert [c.id for c in await stage.forge.comments(stage.repo, made.number, 0, on_change=True)] == [on]

    async def test_a_branch_is_compared_with_where_it_began(self, stage: Stage) -> None:
        base, head = await stage.forge.head(stage.repo, "main"), stage.commits(BRANCH)
        ahead = await stage.forge.compare(stage.repo, base, head)
        assert (ahead.is_ancestor, ahead.paths, ahead.is_whole) == (True, ("a.txt",), True)
        assert (await stage.forge.compare(stage.repo, "main", BRANCH)).is_ancestor
        same = await stage.forge.compare(stage.repo, head, head)
        assert (same.is_ancestor, same.paths, same.is_whole) == (True, (), True)
        assert not (await stage.forge.compare(stage.repo, head, base)).is_ancestor

    async def test_branches_that_went_apart_are_no_ancestors(self, stage: Stage) -> None:
        head, elsewhere = stage.commits(BRANCH), stage.commits("main", "b.txt")
        apart = await stage.forge.compare(stage.repo, elsewhere, head)
        assert not apart.is_ancestor
        assert set(apart.paths) == {"a.txt", "b.txt"} or not apart.is_whole

    async def test_a_comparison_with_nothing_is_an_error(self, stage: Stage) -> None:
        with pytest.raises(GatewrightError):
            await stage.forge.compare(stage.repo, "main", "f" * 40)

    async def test_commits_with_the_same_files_have_the_same_tree(self, stage: Stage) -> None:
        base, head = await stage.forge.head(stage.repo, "main"), stage.commits(BRANCH)
        trees = [await stage.forge.tree(stage.repo, commit) for commit in (base, head, stage.commits("same"))]
        assert trees[0] != trees[1]
        assert trees[1] == trees[2]
        with pytest.raises(GatewrightError):
            await stage.forge.tree(stage.repo, "f" * 40)

    async def test_the_last_change_of_a_file_is_the_commit_that_touched_it(self, stage: Stage) -> None:
        base, tip = await stage.forge.head(stage.repo, "main"), stage.commits("main", "b.txt")
        first = await stage.forge.last_change(stage.repo, "README.md", "main")
        last = await stage.forge.last_change(stage.repo, "b.txt", "main")
        assert first is not None
        assert last is not None
        assert (first.commit, last.commit) == (base, tip)
        assert await stage.forge.last_change(stage.repo, "b.txt", base) is None
        assert await stage.forge.last_change(stage.repo, "none.txt", "main") is None


class Governance:
    """The tests for forges where people have accounts, groups and rights; a fixture `stage` brings a `Governed`."""

    async def test_a_repository_says_whose_it_is_and_who_may_read_it(self, stage: Governed) -> None:
        before = await stage.forge.home(stage.repo)
        stage.publishes()
        after = await stage.forge.home(stage.repo)
        assert (before.visibility, after.visibility) == (Visibility.PRIVATE, Visibility.PUBLIC)
        assert before.owner == after.owner > 0

    async def test_a_change_says_where_its_branch_is(self, stage: Governed) -> None:
        stage.commits(BRANCH)
        made = await stage.forge.open_change(stage.repo, branch=BRANCH, base="main", title="S", body="", draft=False)
        assert made.source == stage.repo.id

    async def test_an_issue_that_was_moved_here_says_so(self, stage: Governed) -> None:
        seen = await stage.forge.issue(stage.repo, stage.moves_in())
        assert seen is not None
        assert seen.arrival is Arrival.MOVED

    async def test_an_edited_issue_is_read_as_edited(self, stage: Governed) -> None:
        number = stage.opens_issue("a", "text", "x")
        stage.edits_issue(number, "b")
        seen = await stage.forge.issue(stage.repo, number)
        assert seen is not None
        assert (seen.title, seen.body) == ("b", "text")

    async def test_labels_have_a_history_with_people_in_it(self, stage: Governed) -> None:
        number = stage.opens_issue("a", "", "x")
        stage.labels(number, "gatewright")
        stage.unlabels(number, "gatewright")
        stage.labels(number, "gatewright")
        seen = [event for event in await stage.forge.label_events(stage.repo, number) if event.label == "gatewright"]
        assert [event.is_set for event in seen] == [True, False, True]
        assert {event.actor.id for event in seen} == {stage.person.id}
        assert not any(event.is_by_app or event.actor.kind is AccountKind.BOT for event in seen)
        assert 0 < seen[0].at_ms <= seen[1].at_ms <= seen[2].at_ms

    async def test_the_history_of_an_issue_that_is_not_there_is_an_error(self, stage: Governed) -> None:
        with pytest.raises(GatewrightError):
            await stage.forge.label_events(stage.repo, 1_000)

    async def test_a_member_is_one_until_they_leave(self, stage: Governed) -> None:
        names = stage.joins()
        for group in names:
            assert await stage.forge.membership(stage.repo, group, stage.person) is not None
            nobody = Actor(999_999_999, stage.person.login, AccountKind.HUMAN)  # a login proves nothing
            assert await stage.forge.membership(stage.repo, group, nobody) is None
        stage.leaves()
        for group in names:
            assert await stage.forge.membership(stage.repo, group, stage.person) is None

    async def test_a_member_by_another_login_is_still_one(self, stage: Governed) -> None:
        names = stage.joins()
        stage.is_renamed("mira-elsewhere")
        for group in names:
            assert await stage.forge.membership(stage.repo, group, stage.person) is not None

    @pytest.mark.parametrize("group", ["999999", "nowhere/nobody", "nobody", ""])
    async def test_nobody_is_in_a_group_that_is_not_there(self, stage: Governed, group: str) -> None:
        stage.joins()
        assert await stage.forge.membership(stage.repo, group, stage.person) is None

    async def test_a_branch_is_held_to_our_status_only_where_that_is_set_up(self, stage: Governed) -> None:
        before = await stage.forge.protection(stage.repo, "main", STATUS)
        stage.protects("main", STATUS)
        after = await stage.forge.protection(stage.repo, "main", STATUS)
        other = await stage.forge.protection(stage.repo, "main", "gatewright/other")
        assert (before.is_enforced, after.is_enforced) == (False, True)
        assert before.why
        assert after.is_enforced != other.is_enforced or other.is_enforced is stage.holds_any_status

    async def test_a_change_is_merged_at_the_head_that_was_approved_and_at_no_other(self, stage: Governed) -> None:
        old = stage.commits(BRANCH)
        made = await stage.forge.open_change(stage.repo, branch=BRANCH, base="main", title="S", body="", draft=False)
        new = stage.commits(BRANCH, "b.txt")
        with pytest.raises(GatewrightError) as caught:
            await stage.forge.merge(stage.repo, made.number, old)
        assert caught.value.code == MERGE
        assert caught.value.why
        still = await stage.forge.get_change(stage.repo, made.number)
        assert still is not None
        assert (still.is_open, still.head) == (True, new)
        await stage.forge.merge(stage.repo, made.number, new)
        merged = await stage.forge.get_change(stage.repo, made.number)
        assert merged is not None
        assert merged.is_merged
        await stage.forge.merge(stage.repo, made.number, new)  # an answer may have been lost

    async def test_held_ci_is_started_for_one_commit(self, stage: Governed) -> None:
        head = stage.commits(BRANCH)
        made = await stage.forge.open_change(stage.repo, branch=BRANCH, base="main", title="S", body="", draft=False)
        assert stage.released() == []
        await stage.forge.release_ci(stage.repo, made.number, BRANCH, head)
        assert stage.released() == [head]
