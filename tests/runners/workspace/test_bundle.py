"""Held work: into a bundle on one machine, out of it on another."""

from __future__ import annotations

import pytest

from runners.workspace import bundle
from runners.workspace.bundle import pack, unpack
from runners.workspace.git import Git, GitError
from runners.workspace.worktree import Worktree
from tests.runners.workspace.kit import OWNER


async def made(worktree: Worktree, name: str = "new.py") -> str:
    (worktree.path / name).write_text("x = 1\n")
    commit = await worktree.commit("work")
    assert commit is not None
    return commit.commit


async def elsewhere(mirror, work) -> tuple[Worktree, Git]:
    other = await Worktree.create(mirror, work / "other", await mirror.head("main"), owner=OWNER)
    return other, Git(other.directory / "git")


async def test_commits_travel_whole_and_nothing_else_does(worktree, mirror, work):
    head = await made(worktree)
    content = await pack(Git(worktree.directory / "git"), worktree.base)
    other, git = await elsewhere(mirror, work)
    await unpack(git, content, base=worktree.base, head=head)
    await other.reset(head)
    assert (other.path / "new.py").read_text() == "x = 1\n"
    refs = (await git.run("for-each-ref", "--format=%(refname)")).decode().split()
    assert sorted(refs) == ["refs/gatewright/base", "refs/gatewright/head", "refs/gatewright/held"]


async def refused(git: Git, content: bytes, base: str, head: str) -> str:
    with pytest.raises(GitError, match="GW-WORK-HELD") as caught:
        await unpack(git, content, base=base, head=head)
    return caught.value.why or ""


async def test_another_head_than_the_ordered_one_is_refused(worktree, mirror, work):
    await made(worktree)
    content = await pack(Git(worktree.directory / "git"), worktree.base)
    _, git = await elsewhere(mirror, work)
    assert "the order names" in await refused(git, content, worktree.base, worktree.base)


async def test_another_base_than_the_ordered_one_is_refused(worktree, mirror, work, source):
    head = await made(worktree)
    content = await pack(Git(worktree.directory / "git"), worktree.base)
    aside = source.commit({"aside": "1"})
    await mirror.fetch()
    _, git = await elsewhere(mirror, work)
    assert "base commit" in await refused(git, content, aside, head)


@pytest.mark.parametrize("content", [b"", b"no bundle", b"# v2 git bundle\n\nPACK"])
async def test_what_is_no_bundle_is_refused(worktree, content):
    git = Git(worktree.directory / "git")
    assert "no bundle" in await refused(git, content, worktree.base, worktree.base)


async def test_a_bundle_without_its_objects_is_refused(worktree):
    head = await made(worktree)
    git = Git(worktree.directory / "git")
    content = await pack(git, worktree.base)
    assert "EOF" in await refused(git, content[: content.index(b"\n\n") + 8], worktree.base, head)


async def test_a_bundle_whose_base_is_not_here_is_refused(worktree, mirror, work):
    first = await made(worktree, "one.py")
    head = await made(worktree, "two.py")
    content = await pack(Git(worktree.directory / "git"), first)
    _, git = await elsewhere(mirror, work)
    assert "fatal: " in await refused(git, content, worktree.base, head)


async def test_objects_that_git_finds_fault_with_are_refused(worktree, mirror, work):
    git = Git(worktree.directory / "git")
    blob = await git.line("hash-object", "-w", "--stdin", input=b"x")
    tree = await git.line("mktree", input=f"100644 blob {blob}\t.git\n".encode())
    commit = await git.line("commit-tree", tree, "-p", worktree.base, "-m", "x", env=IDENTITY)
    await git.run("update-ref", bundle.HEAD, commit)
    content = await pack(git, worktree.base)
    _, other = await elsewhere(mirror, work)
    assert "hasDotgit" in await refused(other, content, worktree.base, commit)


async def test_too_much_is_not_packed_and_not_taken_up(worktree, monkeypatch):
    head = await made(worktree)
    git = Git(worktree.directory / "git")
    content = await pack(git, worktree.base)
    monkeypatch.setattr(bundle, "LARGEST", len(content) - 1)
    with pytest.raises(GitError, match="GW-WORK-HELD"):
        await pack(git, worktree.base)
    assert "are allowed" in await refused(git, content, worktree.base, head)


async def test_nothing_to_pack_is_an_error(worktree):
    with pytest.raises(GitError, match="GW-WORK-HELD"):
        await pack(Git(worktree.directory / "git"), worktree.base)


IDENTITY = {f"GIT_{role}_{part}": "t" for role in ("AUTHOR", "COMMITTER") for part in ("NAME", "EMAIL")}
