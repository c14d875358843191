from __future__ import annotations

import asyncio

import pytest

from bot.model.errors import Unavailable
from bot.model.state import Step
from runners import ground
from runners.access import Access
from runners.names import Names
from tests.runners.stage import TASK, Stage


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


async def test_from_another_machine_work_goes_on_where_the_branch_is(stage: Stage) -> None:
    order = stage.order(Step.CODING, head="b" * 40)
    async with ground.standing(stage.site, order, access(stage)) as (_, worktree):
        assert worktree.head == stage.base
