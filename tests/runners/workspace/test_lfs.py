"""Files that Git LFS keeps are not changed by agents, who see pointers only."""

from __future__ import annotations

from runners.workspace.patch import Rule, review
from runners.workspace.worktree import Worktree
from tests.runners.workspace.kit import OWNER

POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:" + "0" * 64 + "\nsize 12\n"


async def test_changed_and_new_files_of_lfs_are_refused_and_others_are_not(mirror, work, source):
    base = source.commit({".gitattributes": "*.bin filter=lfs diff=lfs -text\n", "a.bin": POINTER, "b.bin": POINTER})
    await mirror.fetch()
    worktree = await Worktree.create(mirror, work / "t", base, owner=OWNER)
    assert (worktree.path / "a.bin").read_text() == POINTER
    (worktree.path / "calc.py").write_text("x = 1\n")
    assert review(await worktree.changes()) == []
    (worktree.path / "a.bin").write_text("edited blindly\n")
    (worktree.path / "sub").mkdir()
    (worktree.path / "sub/new.bin").write_bytes(b"\0\1")
    (worktree.path / "b.bin").unlink()
    found = review(await worktree.changes())
    assert [(each.rule, each.path) for each in found] == [(Rule.LFS, "a.bin"), (Rule.LFS, "sub/new.bin")]


async def test_a_filter_of_the_trees_own_is_never_started(mirror, work, source):
    (source.path / "ran").unlink(missing_ok=True)
    base = source.commit({".gitattributes": "* filter=evil\n"})
    source.git(f"config filter.evil.smudge 'touch {source.path}/ran; cat'")
    await mirror.fetch()
    worktree = await Worktree.create(mirror, work / "t", base, owner=OWNER)
    (worktree.path / "calc.py").write_text("x = 1\n")
    assert review(await worktree.changes()) == []
    assert not (source.path / "ran").exists()
