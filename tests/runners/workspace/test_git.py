"""Git as we start it: nothing of the machine or the user reaches it, and it never outlives its time."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from runners.workspace.git import Git, GitError, environment
from tests.runners.workspace.kit import sh


async def test_the_workers_environment_does_not_reach_git(source, monkeypatch):
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", "alias.hello")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", "!echo from the environment")
    monkeypatch.setenv("SECRET", "hunter2")
    git = Git(source.path / ".git")
    assert (await git.call("hello")).code != 0
    assert b"hunter2" not in await git.run("config", "--list")
    assert "SECRET" not in environment((), "")


async def test_a_failure_says_what_git_said(source):
    with pytest.raises(GitError) as caught:
        await Git(source.path / ".git").run("rev-parse", "--verify", "nothing")
    assert caught.value.code == "GW-GIT-FAILED"
    assert "Needed a single revision" in caught.value.why


async def test_no_transport_works_unless_it_is_asked_for(source):
    outcome = await Git(source.path / ".git").call("ls-remote", str(source.path))
    assert outcome.code != 0
    assert "not allowed" in outcome.err


async def test_output_beyond_a_limit_ends_git(source):
    source.commit({"big": "x\n" * 500_000})
    outcome = await Git(source.path / ".git").call("cat-file", "blob", "HEAD:big", limit=1000)
    assert outcome.truncated
    assert len(outcome.out) == 1000


async def test_a_command_that_hangs_is_ended(source):
    git = Git(source.path / ".git")
    with pytest.raises(GitError, match="GW-GIT-TIMEOUT"):
        await git.call("-c", "alias.wait=!sleep 7654321", "wait", timeout=0.3)
    assert "7654321" not in sh("ps -eo args | grep -v grep | grep -v ' sh -c '", source.path).stdout


async def test_a_cancelled_command_is_ended(source):
    git = Git(source.path / ".git")
    task = asyncio.ensure_future(git.call("-c", "alias.wait=!sleep 7654322", "wait"))
    await asyncio.sleep(0.2)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert "sleep 7654322" not in sh("ps -eo args", source.path).stdout


async def test_many_objects_are_read_in_order_one_by_one(source):
    source.commit({f"f{i}": f"content {i}\n" * 3000 for i in range(40)})
    names = [f"HEAD:f{i}" for i in range(40)]
    found = [content async for content in Git(source.path / ".git").objects(names)]
    assert found == [(f"content {i}\n" * 3000).encode() for i in range(40)]


def descriptors() -> set[str]:
    return {f"{path.name} {path.readlink()}" for path in Path("/proc/self/fd").iterdir() if path.is_symlink()}


async def test_no_pipe_stays_open_when_git_is_stopped_early(source):
    source.commit({"big": "x\n" * 500_000, "small": "x"})
    git = Git(source.path / ".git")
    await git.run("status")  # what the loop opens for itself is there now
    before = descriptors()
    kept = []  # as a traceback would keep it
    for _ in range(3):
        kept.append(await git.call("cat-file", "blob", "HEAD:big", limit=1000))
        contents = git.objects(["HEAD:big", "HEAD:big", "HEAD:small"])
        kept.append(contents)
        assert len(await anext(contents)) == 1_000_000
        await contents.aclose()
    assert {fd for fd in descriptors() - before if "pipe:" in fd} == set()


async def test_an_object_that_is_missing_is_named(source):
    with pytest.raises(GitError, match="GW-GIT-OBJECT"):
        [_ async for _ in Git(source.path / ".git").objects(["HEAD:nothing"])]


@pytest.mark.parametrize(("key", "value"), [("gc.auto", "0"), ("maintenance.auto", "false")])
async def test_nothing_is_packed_or_pruned_by_itself(key: str, value: str, tmp_path: Path) -> None:
    """Worktrees borrow objects from the mirror: whatever the repository says, git must not take them away."""
    git = Git(tmp_path / "git")
    await git.run("init", "-q", "--bare", str(tmp_path / "git"))
    with (tmp_path / "git/config").open("a") as file:
        file.write("[gc]\n\tauto = 1\n[maintenance]\n\tauto = true\n")
    assert await git.line("config", "--get", key) == value
