"""A repository on disk as a forge: read without running anything of its own, never written to."""

from __future__ import annotations

from pathlib import Path

import pytest

from bot.forges.local import BOT, YOU, LocalForge, local_repo, survey
from bot.forges.protocol import StatusState
from bot.model.errors import GatewrightError, UsageError
from bot.model.event import AccountKind, Actor
from bot.model.role import Role
from tests.bot.forges.contract import Contract
from tests.bot.terminal.machine import git


@pytest.fixture
def path(tmp_path: Path) -> Path:
    made = tmp_path / "repo"
    made.mkdir()
    (made / "a.txt").write_text("one\n")
    git(made, "init", "-q", "-b", "main")
    git(made, "add", "-A")
    git(made, "commit", "-q", "-m", "Begin")
    return made


@pytest.fixture
def forge(tmp_path: Path) -> LocalForge:
    return LocalForge(tmp_path / "store")


async def test_work_starts_from_the_branch_that_is_checked_out(path, forge):
    git(path, "switch", "-q", "-c", "next")
    place = await survey(path)
    assert (place.branch, place.repo.path) == ("next", str(path))
    assert place.commit == git(path, "rev-parse", "HEAD").strip()
    assert (await forge.home(place.repo)).default_branch == "next"
    assert await forge.head(place.repo, "next") == place.commit


async def test_a_folder_inside_names_its_repository(path):
    (path / "src").mkdir()
    assert (await survey(path / "src")).repo == local_repo(path)


async def test_a_bare_repository_will_do(path, tmp_path):
    git(path, "clone", "-q", "--bare", str(path), str(tmp_path / "bare.git"))
    assert (await survey(tmp_path / "bare.git")).branch == "main"


async def test_a_link_names_the_same_repository(path, tmp_path):
    (tmp_path / "link").symlink_to(path)
    assert local_repo(tmp_path / "link") == local_repo(path)


@pytest.mark.parametrize("state", ["missing", "plain", "empty", "detached"])
async def test_what_work_cannot_start_from_says_why_and_what_to_do(tmp_path, path, state):
    where = tmp_path / state
    if state != "missing":
        where.mkdir()
    if state == "empty":
        git(where, "init", "-q", "-b", "main")
    if state == "detached":
        where = path
        git(path, "checkout", "-q", "--detach")
    with pytest.raises(UsageError) as caught:
        await survey(where)
    code = {"empty": "GW-LOCAL-EMPTY", "detached": "GW-LOCAL-DETACHED"}.get(state, "GW-LOCAL-REPO")
    assert caught.value.code == code
    assert str(where) in caught.value.what
    assert caught.value.fix


async def test_reading_runs_nothing_that_the_repository_names(path, forge, tmp_path):
    trap = tmp_path / "trap"
    trap.write_text(f"#!/bin/sh\ntouch {tmp_path}/sprung\ncat\n")
    trap.chmod(0o755)
    for key in ("core.fsmonitor", "diff.external", "core.pager", "diff.trap.textconv", "diff.trap.command"):
        git(path, "config", key, str(trap))
    (path / ".gitattributes").write_text("* diff=trap\n")
    (path / "a.txt").write_text("two\n")
    git(path, "-c", "core.fsmonitor=false", "add", "-A")
    git(path, "-c", "core.fsmonitor=false", "commit", "-q", "-m", "Two")
    (tmp_path / "sprung").unlink(missing_ok=True)
    place = await survey(path)
    await forge.home(place.repo)
    said = await forge.read(place.repo, "diff", "--no-ext-diff", "--no-textconv", "HEAD~1", "HEAD")
    assert b"+two" in said
    assert await forge.file(place.repo, "a.txt", place.commit) == b"two\n"
    assert not (tmp_path / "sprung").exists()


async def test_a_variable_of_the_caller_names_no_other_repository(path, tmp_path, monkeypatch):
    other = tmp_path / "other"
    other.mkdir()
    git(other, "init", "-q", "-b", "elsewhere")
    monkeypatch.setenv("GIT_DIR", str(other / ".git"))
    assert (await survey(path)).branch == "main"


async def test_files_are_read_at_a_commit_and_not_from_the_checkout(path, forge):
    place = await survey(path)
    (path / "a.txt").write_text("changed since\n")
    assert await forge.file(place.repo, "a.txt", place.commit) == b"one\n"
    assert await forge.file(place.repo, "b.txt", place.commit) is None


async def test_a_repository_that_went_away_says_so(path, forge, tmp_path):
    place = await survey(path)
    path.rename(tmp_path / "moved")
    with pytest.raises(GatewrightError) as caught:
        await forge.head(place.repo, "main")
    assert caught.value.code == "GW-LOCAL-GIT"


async def test_issues_comments_and_changes_are_remembered(path, forge, tmp_path):
    repo = local_repo(path)
    issue = forge.add_issue(repo, "Title", "Body", "gatewright")
    change = await forge.open_change(repo, branch="main", base="main", title="T", body="B", draft=False)
    assert change.number == issue.number + 1, "a number names one place"
    said = forge.say(repo, issue.number, "/approve")
    own = await forge.comment(repo, issue.number, "shown <!-- m -->")
    await forge.edit_comment(repo, issue.number, own, "edited <!-- m -->")
    await forge.react(repo, issue.number, said.id, "eyes")
    await forge.react(repo, issue.number, said.id, "eyes")
    await forge.set_status(repo, change.head, StatusState.SUCCESS, "gatewright/change", "fine")
    await forge.edit_change(repo, change.number, body="B2")
    await forge.close_change(repo, change.number)
    again = LocalForge(tmp_path / "store")
    assert (await again.issue(repo, issue.number)) == issue
    assert await again.issue(repo, 99) is None
    found = await again.get_comment(repo, issue.number, own)
    assert found is not None
    assert (found.body, found.author) == ("edited <!-- m -->", BOT)
    assert await again.find_change(repo, "main") == await again.get_change(repo, change.number)
    closed = await again.get_change(repo, change.number)
    assert closed is not None
    assert not closed.is_open
    assert again.description(repo, change.number) == "B2"


async def test_only_the_bots_own_marker_is_found(path, forge):
    repo = local_repo(path)
    forge.say(repo, 1, "mine <!-- m -->")
    assert await forge.find_comment(repo, 1, "<!-- m -->") is None
    own = await forge.comment(repo, 1, "the bot's <!-- m -->")
    assert await forge.find_comment(repo, 1, "<!-- m -->") == own
    assert await forge.find_comment(repo, 2, "<!-- m -->") is None


async def test_everything_is_allowed_to_the_person_at_this_machine_and_to_nobody_else(path, forge):
    repo = local_repo(path)
    assert await forge.role(repo, YOU) is Role.ADMIN
    assert await forge.role(repo, BOT) is Role.NONE
    assert await forge.role(repo, Actor(3, "you", AccountKind.HUMAN)) is Role.NONE


async def test_nothing_is_lent_because_nothing_is_needed(path, forge):
    assert await forge.git_access(local_repo(path), write=True) is None


def test_no_half_written_store_stays(path, forge, tmp_path):
    repo = local_repo(path)
    forge.add_issue(repo, "Title", "Body", "gatewright")
    assert [file.name for file in (tmp_path / "store").iterdir()] == [f"{repo.id}.json"]


class LocalStage:
    """A repository on disk, and the person at this machine."""

    person = YOU

    def __init__(self, folder: Path) -> None:
        self.path = folder / "shop"
        self.path.mkdir()
        (self.path / "README.md").write_text("# Shop\n")
        git(self.path, "init", "-q", "-b", "main")
        git(self.path, "add", "-A")
        git(self.path, "commit", "-q", "-m", "Begin")
        self.forge = LocalForge(folder / "stage")
        self.repo = local_repo(self.path)

    def opens_issue(self, title: str, body: str, label: str) -> int:
        return self.forge.add_issue(self.repo, title, body, label).number

    def says(self, number: int, body: str) -> int:
        return self.forge.say(self.repo, number, body).id

    def commits(self, branch: str, path: str = "a.txt") -> str:
        if not git(self.path, "branch", "--list", branch).strip():
            git(self.path, "branch", branch, "main")
        git(self.path, "switch", "-q", branch)
        (self.path / path).write_text("new\n")
        git(self.path, "add", "-A")
        git(self.path, "commit", "-q", "-m", f"{path} on {branch}")
        commit = git(self.path, "rev-parse", "HEAD").strip()
        git(self.path, "switch", "-q", "main")
        return commit


class TestLocal(Contract):
    @pytest.fixture
    def stage(self, tmp_path: Path) -> LocalStage:
        return LocalStage(tmp_path)


async def test_the_label_of_a_local_issue_was_set_by_the_person_at_this_machine(path, forge):
    repo = local_repo(path)
    issue = forge.add_issue(repo, "Title", "Body", "gatewright")
    (event,) = await forge.label_events(repo, issue.number)
    assert (event.label, event.actor, event.is_set, event.is_by_app) == ("gatewright", YOU, True, False)
    assert event.at_ms == issue.created_ms > 0
    assert await forge.label_events(repo, 99) == ()


async def test_a_commit_on_disk_names_no_account(path, forge):
    """Its author is what somebody wrote into it."""
    found = await forge.last_change(local_repo(path), "a.txt", "main")
    assert found is not None
    assert found.by == 0


async def test_a_path_with_stars_is_that_path(path, forge):
    repo = local_repo(path)
    assert await forge.last_change(repo, "*.txt", "main") is None
    assert await forge.last_change(repo, ":(glob)**", "main") is None


@pytest.mark.parametrize("name", ["HEAD", "--all", "main~0", "refs/heads/main", "", "main^{tree}", "@"])
async def test_nothing_but_branches_and_commits_is_compared(path, forge, name):
    with pytest.raises(GatewrightError) as caught:
        await forge.compare(local_repo(path), "main", name)
    assert caught.value.code == "GW-LOCAL-GIT"


async def test_a_tag_of_the_same_name_is_not_the_branch(path, forge):
    (path / "a.txt").write_text("two\n")
    git(path, "commit", "-q", "-a", "-m", "Two")
    git(path, "tag", "main", "HEAD~1")
    repo, tip = local_repo(path), git(path, "rev-parse", "refs/heads/main").strip()
    assert (await forge.compare(repo, "main", tip)).paths == ()


async def test_nothing_is_enforced_merged_or_released_on_disk_and_it_says_why(path, forge):
    repo = local_repo(path)
    change = await forge.open_change(repo, branch="main", base="main", title="T", body="B", draft=False)
    assert change.source == repo.id
    held = await forge.protection(repo, "main", "gatewright/change")
    assert not held.is_enforced
    assert held.why
    with pytest.raises(GatewrightError) as merging:
        await forge.merge(repo, change.number, change.head)
    assert merging.value.code == "GW-LOCAL-MERGE"
    assert f"git -C {path} merge main" in merging.value.fix
    with pytest.raises(GatewrightError) as releasing:
        await forge.release_ci(repo, change.number, "main", change.head)
    assert releasing.value.code == "GW-LOCAL-CI"
    assert await forge.membership(repo, "42", YOU) is None


async def test_people_are_known_by_their_number_whatever_is_claimed_of_them(path, forge):
    repo = local_repo(path)
    assert await forge.account(repo, Actor(YOU.id, "", AccountKind.UNKNOWN)) == YOU
    assert (await forge.account(repo, Actor(BOT.id, "you", AccountKind.HUMAN))).kind is AccountKind.BOT
    assert (await forge.account(repo, Actor(9, "you", AccountKind.HUMAN))).kind is AccountKind.UNKNOWN


async def test_another_repository_is_found_by_its_absolute_path(path, forge, tmp_path, monkeypatch):
    repo = local_repo(tmp_path)
    assert await forge.lookup(repo, str(path)) == local_repo(path)
    monkeypatch.chdir(tmp_path)
    for nothing in (path.name, str(tmp_path / "none"), str(tmp_path), ""):
        assert await forge.lookup(repo, nothing) is None
