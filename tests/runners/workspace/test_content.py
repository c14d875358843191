"""Trees with the content of Git LFS: real files for the agent, pointers in every commit, and no change of either."""

from __future__ import annotations

import os

import pytest

from bot import settings
from runners.workspace.content import Content, Part
from runners.workspace.git import GitError
from runners.workspace.lfs_batch import LfsError
from runners.workspace.mirror import Mirror
from runners.workspace.patch import Rule, review
from runners.workspace.worktree import Worktree
from tests.runners.workspace.forge import ACCESS, forge, pointer
from tests.runners.workspace.kit import OWNER, REPO, names, sh

ATTRIBUTES = "*.bin filter=lfs diff=lfs merge=lfs -text\n"
FIRST, SECOND = b"\0first\r\n" * 5000, b"second"
ON = settings.Workspace(lfs=True)


@pytest.fixture
def served(place, source):
    with forge(place) as server:
        yield server


@pytest.fixture
def base(served, source) -> str:
    source.commit({
        ".gitattributes": ATTRIBUTES, "a.bin": served.keep(FIRST), "deep/er/b.bin": served.keep(SECOND),
        "no.txt": pointer(FIRST),
    })  # fmt: skip
    (source.path / "deep/er/b.bin").chmod(0o755)
    return source.commit({"junk.bin": pointer(FIRST) + "x", "old.bin": pointer(FIRST).replace("v1", "v0")})


async def stand(served, work, base, table: settings.Workspace = ON) -> Worktree:
    mirror = await Mirror.open(work / "mirrors", REPO, served.url)
    await mirror.fetch(ACCESS)
    worktree = await Worktree.prepare(mirror, work / "t", base, owner=OWNER)
    await worktree.bring(Content(table, work, REPO, served.url), ACCESS)
    await worktree.reset(base)
    return worktree


async def test_files_hold_their_content_and_commits_their_pointers(served, work, base):
    worktree = await stand(served, work, base)
    tree = worktree.path
    assert (tree / "a.bin").read_bytes() == FIRST
    assert (tree / "deep/er/b.bin").read_bytes() == SECOND
    assert (tree / "deep/er/b.bin").stat().st_mode & 0o777 == 0o755
    assert OWNER is None or (tree / "a.bin").stat().st_uid == OWNER
    assert worktree.parts == (Part("lfs", "a.bin"), Part("lfs", "deep/er/b.bin"))
    assert (await worktree.changes()).empty
    (tree / "calc.py").write_text("x = 1\n")
    os.utime(tree / "a.bin")
    made = await worktree.commit("step")
    diff = await worktree._bare.run("diff-tree", "-r", "--name-only", base, made.commit)
    assert diff == b"calc.py\n"
    assert await worktree.read(made.commit, "a.bin") == pointer(FIRST).encode()
    qa = await worktree.checkout(made.commit, work / "qa")
    assert (qa / "a.bin").read_bytes() == FIRST


async def test_the_agents_own_git_sees_nothing_changed_before_and_after_a_commit(served, work, base):
    worktree = await stand(served, work, base)
    status = "git -c safe.directory='*' status --porcelain"
    assert sh(status, worktree.path).stdout == ""
    (worktree.path / "calc.py").write_text("x = 1\n")
    await worktree.commit("step")
    done = sh(status, worktree.path)
    assert (done.stdout, done.stderr) == ("", "")


async def test_what_is_no_pointer_to_the_last_byte_stays_as_it_is(served, work, base):
    worktree = await stand(served, work, base)
    assert (worktree.path / "junk.bin").read_text() == pointer(FIRST) + "x"
    assert (worktree.path / "old.bin").read_text() == pointer(FIRST).replace("v1", "v0")
    assert (worktree.path / "no.txt").read_text() == pointer(FIRST)  # no attribute gives it to Git LFS
    assert (await worktree.changes()).empty


CHANGES = {
    "other content": ("printf other > a.bin", ["a.bin"]),
    "same size": ("printf '\\1' | dd of=a.bin conv=notrunc status=none", ["a.bin"]),
    "same size, times put back": (
        "touch -r a.bin t; printf '\\1' | dd of=a.bin conv=notrunc status=none; touch -r t a.bin; rm t", ["a.bin"],
    ),
    "mode": ("chmod +x a.bin", ["a.bin"]),
    "link": ("ln -sf calc.py a.bin", ["a.bin"]),
    "another pointer": ("sed s/oid/oid/ no.txt > a.bin; echo >> a.bin", ["a.bin"]),
    "new": ("cp a.bin new.bin", ["new.bin"]),
    "without the attribute": ("rm .gitattributes; printf other > a.bin", ["a.bin"]),
    "a folder above that is a link": ("mv deep other; ln -s other deep", ["other/er/b.bin"]),
}  # fmt: skip


@pytest.mark.parametrize("how", CHANGES)
async def test_changes_of_files_of_lfs_are_refused(how, served, work, base):
    line, paths = CHANGES[how]
    worktree = await stand(served, work, base)
    assert sh(line, worktree.path).returncode == 0
    found = review(await worktree.changes())
    assert [each.path for each in found if each.rule is Rule.LFS] == paths, found


@pytest.mark.parametrize("line", ["cp no.txt a.bin", "git -c safe.directory='*' checkout -q -f HEAD -- a.bin", "true"])
async def test_a_pointer_in_its_own_place_is_no_change(line, served, work, base):
    worktree = await stand(served, work, base)
    assert sh(line, worktree.path).returncode == 0
    assert (await worktree.changes()).empty


async def test_a_file_may_go_and_come_back(served, work, base):
    worktree = await stand(served, work, base)
    (worktree.path / "a.bin").unlink()
    assert [(each.path, each.status) for each in (await worktree.changes()).files] == [("a.bin", "D")]
    (worktree.path / "a.bin").write_bytes(FIRST)
    assert (await worktree.changes()).empty
    (worktree.path / "a.bin").unlink()
    made = await worktree.commit("without")
    await worktree.reset(made.commit)
    assert not (worktree.path / "a.bin").exists()
    assert (worktree.path / "deep/er/b.bin").read_bytes() == SECOND


async def test_off_it_stays_as_it_was_and_nobody_is_asked(served, work, base):
    worktree = await stand(served, work, base, settings.Workspace())
    assert (worktree.path / "a.bin").read_text() == pointer(FIRST)
    assert worktree.parts == (Part("lfs", "", "Git LFS is off: [workspace] lfs"),)
    assert served.asked == []
    assert not (work / "lfs").exists()


async def test_a_repository_cannot_turn_it_on_or_send_us_elsewhere(served, work, source, base, place):
    with forge(place) as other:
        config = f"[lfs]\n\turl = {other.at}/source/.git/info/lfs\n"
        here = source.commit({".lfsconfig": config, ".gatewright.toml": "[workspace]\nlfs = true\n"})
        worktree = await stand(served, work, here, settings.Workspace())
        assert (worktree.path / "a.bin").read_text() == pointer(FIRST)
        worktree = await stand(served, work, here)
        assert (worktree.path / "a.bin").read_bytes() == FIRST
        assert other.seen == []


async def test_a_file_that_is_too_large_is_named_and_stays_a_pointer(served, work, source, base):
    huge = pointer(b"x").replace("size 1\n", f"size {1 << 40}\n")
    worktree = await stand(served, work, source.commit({"huge.bin": huge}))
    assert (worktree.path / "huge.bin").read_text() == huge
    assert (worktree.path / "a.bin").read_bytes() == FIRST
    assert [(part.path, "lfs_mb" in part.why) for part in worktree.parts if part.why] == [("huge.bin", True)]
    (worktree.path / "huge.bin").write_text("x")
    assert {each.rule for each in review(await worktree.changes())} == {Rule.LFS}


async def test_an_object_that_was_damaged_on_this_machine_is_fetched_anew(served, work, base):
    worktree = await stand(served, work, base)
    (kept,) = [path for path in (work / "lfs").glob("*/*") if path.stat().st_size == len(FIRST)]
    kept.write_bytes(FIRST[::-1])
    with pytest.raises(LfsError, match="GW-LFS-OBJECT"):
        await worktree.reset(base)
    worktree = await stand(served, work, base)
    assert (worktree.path / "a.bin").read_bytes() == FIRST


async def test_a_repository_with_neither_costs_no_request(served, work, source):
    worktree = await stand(served, work, source.git("rev-parse HEAD"))
    assert worktree.parts == ()
    assert served.asked == []
    assert names(work) == ["mirrors", "t"]


async def test_a_base_that_is_not_there_is_said_as_before(served, work, base):
    with pytest.raises(GitError, match="GW-GIT-BASE"):
        await stand(served, work, "0" * 40)
