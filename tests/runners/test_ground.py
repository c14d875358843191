from __future__ import annotations

import asyncio

import pytest
import structlog

from bot.model.errors import Unavailable
from bot.model.state import Step
from runners import ground
from runners.access import Access
from runners.names import Names
from runners.workspace.bundle import pack
from runners.workspace.git import Git
from runners.workspace.worktree import Worktree
from tests.runners.stage import TASK, Stage, git


class Silent:
    """A key that is never asked to sign: local repositories need no access."""

    def sign(self, message: bytes) -> bytes:
        raise AssertionError(message)


def access(stage: Stage) -> Access:
    return Access(stage.redis, Names(TASK, 1), Silent(), stage.repo.forge, "")  # type: ignore[arg-type]


async def test_two_attempts_of_one_task_never_stand_on_one_worktree(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ground, "LOCK_SECONDS", 0.3)
    order = stage.order(Step.CODING)
    async with ground.standing(stage.site, order, access(stage)):
        with pytest.raises(Unavailable, match="GW-WORKSPACE-BUSY"):
            async with ground.standing(stage.site, order, access(stage)):
                pass


async def test_the_next_attempt_waits_until_a_superseded_one_has_left(stage: Stage) -> None:
    order = stage.order(Step.CODING)
    left = asyncio.Event()

    async def first() -> None:
        async with ground.standing(stage.site, order, access(stage)) as (_, worktree):
            (worktree.path / "left.txt").write_text("by the first")
            await asyncio.sleep(0.2)
            left.set()

    task = asyncio.create_task(first())
    await asyncio.sleep(0.15)
    async with ground.standing(stage.site, order, access(stage)) as (_, worktree):
        assert left.is_set()
        assert not (worktree.path / "left.txt").exists()
    await task


async def _committed(worktree: Worktree) -> str:
    (worktree.path / "new.txt").write_text("n")
    made = await worktree.commit("step")
    assert made is not None
    return made.commit


async def test_after_an_attempt_its_worktree_stays_for_the_next_one(stage: Stage) -> None:
    async with ground.standing(stage.site, stage.order(Step.CODING), access(stage)) as (_, worktree):
        commit = await _committed(worktree)
    directory = stage.site.work / "tasks" / TASK
    assert (directory / "tree/new.txt").exists()
    async with ground.standing(stage.site, stage.order(Step.CODING, head=commit), access(stage)) as (_, worktree):
        assert (worktree.head, await worktree.is_safe()) == (commit, False)


async def test_when_the_task_is_over_nothing_of_it_stays(stage: Stage) -> None:
    order = stage.order(Step.CODING)
    async with ground.standing(stage.site, order, access(stage)) as (_, worktree):
        commit = await _committed(worktree)
        await worktree.push(order.clone_url, None, f"{commit}:refs/heads/{order.branch}")
    git(stage.origin, "branch", "-D", order.branch)  # as after a squashed merge
    async with ground.standing(stage.site, stage.order(Step.ARCHIVE, head=commit), access(stage)):
        pass
    assert list((stage.site.work / "tasks").iterdir()) == []


async def test_what_an_archive_that_fails_leaves_is_everything(stage: Stage) -> None:
    with pytest.raises(ConnectionError):
        async with ground.standing(stage.site, stage.order(Step.ARCHIVE), access(stage)):
            raise ConnectionError
    assert (stage.site.work / "tasks" / TASK / "tree/calc.py").exists()


async def test_unpushed_commits_outlive_their_task_and_a_line_says_where_they_are(stage: Stage) -> None:
    async with ground.standing(stage.site, stage.order(Step.CODING), access(stage)) as (_, worktree):
        commit = await _committed(worktree)
    with structlog.testing.capture_logs() as logs:
        async with ground.standing(stage.site, stage.order(Step.ARCHIVE, head=commit), access(stage)):
            pass
    directory = stage.site.work / "tasks" / TASK
    assert [each["commit"] for each in logs if each["event"] == "worktree.kept"] == [commit]
    assert git(directory / "git", "cat-file", "-t", commit) == "commit"
    assert not (directory / "tree").exists()


async def test_work_that_is_held_back_in_a_blob_is_no_reason_to_stay(stage: Stage) -> None:
    order = stage.order(Step.CODING)
    async with ground.standing(stage.site, order, access(stage)) as (_, worktree):
        commit = await _committed(worktree)
        held = stage.blobs.put(await pack(Git(worktree.directory / "git"), order.base_commit))
    over = stage.order(Step.ARCHIVE, head=commit, held_blob=held)
    async with ground.standing(stage.site, over, access(stage)):
        pass
    assert list((stage.site.work / "tasks").iterdir()) == []


async def test_an_attempt_notices_a_mirror_that_rotted_and_goes_on(stage: Stage) -> None:
    order = stage.order(Step.CODING)
    async with ground.standing(stage.site, order, access(stage)) as (mirror, _):
        pass
    for path in mirror.objects.glob("??/*"):
        if git(mirror.path, "cat-file", "-t", path.parent.name + path.name) == "blob":
            path.chmod(0o644)
            path.write_bytes(b"rot")
    for path in mirror.objects.glob("pack/*.pack"):
        path.chmod(0o644)
        path.write_bytes(b"rot")
    async with ground.standing(stage.site, order, access(stage)) as (_, worktree):
        assert (worktree.path / "calc.py").exists()


async def test_from_another_machine_work_goes_on_where_the_branch_is(stage: Stage) -> None:
    order = stage.order(Step.CODING, head="b" * 40)
    async with ground.standing(stage.site, order, access(stage)) as (_, worktree):
        assert worktree.head == stage.base
