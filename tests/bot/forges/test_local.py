"""A repository on disk as a forge: read without running anything of its own, never written to."""

from __future__ import annotations

from pathlib import Path

import pytest

from bot.forges.local import BOT, YOU, LocalForge, local_repo, survey
from bot.forges.protocol import Role, StatusState
from bot.model.errors import GatewrightError, UsageError
from bot.model.event import AccountKind, Actor
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
