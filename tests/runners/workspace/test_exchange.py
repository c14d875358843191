"""What a task fetches of its own branch is with that task alone, and what it pushed counts as safe."""

from __future__ import annotations

from runners.workspace.worktree import Worktree
from tests.runners.workspace.kit import OWNER, sh

BRANCH = "gatewright/1-aaaaaa"
OTHER = "gatewright/2-bbbbbb"


async def _unmerged(source) -> tuple[str, str]:
    """Commit work of another task to its branch; answer with the commit and a blob of it."""
    source.git(f"checkout -q -b {OTHER}")
    commit = source.commit({"secret.txt": "not yet public\n"})
    blob = source.git("rev-parse HEAD:secret.txt")
    source.git("checkout -q main")
    return commit, blob


async def test_objects_of_another_tasks_branch_cannot_be_read_from_inside(mirror, work, source, make_jail):
    commit, blob = await _unmerged(source)
    await mirror.fetch()
    base = source.git("rev-parse main")
    theirs = await Worktree.create(mirror, work / "2-bbbbbb", base, owner=OWNER)
    await theirs.follow(OTHER, str(source.path), None)
    await theirs.reset(commit)
    ours = await Worktree.create(mirror, work / "1-aaaaaa", base, owner=OWNER)
    jail = make_jail(ours.path, objects=mirror.objects)
    show = "git -c safe.directory=* cat-file -p"
    for wanted in (commit, blob):
        refused = await jail.run(["sh", "-c", f"{show} {wanted}"], timeout=20)
        assert refused.exit_code
        assert "public" not in refused.output
    assert (await jail.run(["sh", "-c", f"{show} {base}"], timeout=20)).exit_code == 0
    own = make_jail(theirs.path, objects=mirror.objects)  # the test can tell: its own agent reads it
    assert "not yet public" in (await own.run(["sh", "-c", f"{show} {blob}"], timeout=20)).output


async def test_a_branch_is_followed_where_it_is_and_forgotten_where_it_is_not(worktree, source):
    await worktree.follow(OTHER, str(source.path), None)
    assert worktree.tip == ""
    commit, _ = await _unmerged(source)
    await worktree.follow(OTHER, str(source.path), None)
    assert worktree.tip == commit
    assert await worktree.has(commit)
    source.git(f"branch -q -D {OTHER}")
    await worktree.follow(OTHER, str(source.path), None)
    assert worktree.tip == ""


async def test_work_is_safe_when_it_was_pushed_and_not_before(worktree, source):
    assert await worktree.is_safe()
    (worktree.path / "new").write_text("n")
    made = await worktree.commit("step")
    assert not await worktree.is_safe()
    await worktree.push(str(source.path), None, f"{made.commit}:refs/heads/{BRANCH}")
    assert await worktree.is_safe()
    assert sh(f"git rev-parse {BRANCH}", source.path).stdout.strip() == made.commit
