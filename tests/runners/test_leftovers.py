"""What dead tasks left goes by age, never with commits that are nowhere else, never under an attempt."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest
import structlog

from bot.model.state import Step
from runners import ground, leftovers
from runners.workspace import lock
from tests.runners.stage import TASK, Stage
from tests.runners.test_ground import access

LATER = time.time() + 2 * leftovers.OLD_SECONDS  # far from now: the suite may take an hour until it gets here


@pytest.fixture
async def left(stage: Stage) -> Path:
    """The worktree of a task whose worker is gone."""
    async with ground.standing(stage.site, stage.order(Step.CODING), access(stage)):
        pass
    return stage.site.work / "tasks" / TASK


def test_what_is_young_stays(stage: Stage, left: Path) -> None:
    leftovers.clear(stage.site.work)
    assert (left / "tree/calc.py").exists()


def test_what_is_old_goes_with_its_lock(stage: Stage, left: Path) -> None:
    leftovers.clear(stage.site.work, LATER)
    assert list(left.parent.iterdir()) == []


async def test_the_lock_of_an_attempt_makes_its_task_young(stage: Stage, left: Path) -> None:
    past = time.time() - leftovers.OLD_SECONDS - 60
    os.utime(left.with_suffix(".lock"), (past, past))
    async with ground.standing(stage.site, stage.order(Step.CODING), access(stage)):
        pass
    leftovers.clear(stage.site.work)
    assert (left / "tree/calc.py").exists()


def test_an_attempt_at_work_is_left_alone(stage: Stage, left: Path) -> None:
    held = lock.take(left.with_suffix(".lock"))
    assert held is not None
    leftovers.clear(stage.site.work, LATER)
    assert (left / "tree/calc.py").exists()
    os.close(held)


async def test_commits_that_were_never_pushed_stay_and_are_named(stage: Stage, left: Path) -> None:
    async with ground.standing(stage.site, stage.order(Step.CODING), access(stage)) as (_, worktree):
        (worktree.path / "new.txt").write_text("n")
        await worktree.commit("step")
    with structlog.testing.capture_logs() as logs:
        leftovers.clear(stage.site.work, LATER)
        leftovers.clear(stage.site.work, LATER)
    assert [each["path"] for each in logs if each["event"] == "worktree.kept"] == [str(left / "git")]
    assert (left / "git/HEAD").exists()
    assert not (left / "tree").exists()


def test_jails_and_damaged_mirrors_go_as_well(stage: Stage, left: Path) -> None:
    (mirror,) = (stage.site.work / "mirrors").glob("*.git")
    jail = stage.site.work / "jails" / f"{TASK}-1" / "fresh-1"
    jail.mkdir(parents=True)
    damaged = mirror.with_name(f"{mirror.name}.damaged-1")
    damaged.mkdir()
    leftovers.clear(stage.site.work, LATER)
    assert not jail.parent.exists()
    assert not damaged.exists()
    assert mirror.exists()


def test_a_machine_without_work_has_nothing_to_clear(tmp_path: Path) -> None:
    leftovers.clear(tmp_path / "work")
    assert not (tmp_path / "work").exists()


async def test_content_that_no_attempt_showed_for_a_week_goes(stage: Stage) -> None:
    """The mirror of a submodule goes by the age of its folder, an object of Git LFS by that of its file."""
    work = stage.site.work
    kept = [work / "submodules/one/aa.git", work / "submodules/one/bb.git", work / "lfs/one/00", work / "lfs/one/11"]
    for path in kept:
        path.mkdir(parents=True) if path.suffix else path.parent.mkdir(parents=True, exist_ok=True)
        (path / "HEAD" if path.suffix else path).write_text("x")
    past = time.time() - leftovers.OLD_SECONDS - 60
    for path in (kept[0], kept[2]):
        os.utime(path, (past, past))
    leftovers.clear(work)
    assert [path.exists() for path in kept] == [False, True, False, True]
