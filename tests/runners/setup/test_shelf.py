from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path

import pytest

from bot.model.errors import GatewrightError
from runners.setup import shelf
from tests.runners.workspace.kit import names


async def make(folder: Path) -> None:
    await asyncio.sleep(0.2)
    (folder / "x").write_bytes(b"x" * 100_000)


async def lend(root: Path, name: str, seconds: float = 5.0, **more: int) -> bool:
    async with shelf.result(root, name, make, seconds=seconds, **more) as (folder, was_there):
        assert (folder / "x").stat().st_size == 100_000
        return was_there


async def test_one_makes_it_and_the_others_wait(tmp_path: Path) -> None:
    found = await asyncio.gather(*(lend(tmp_path, "a") for _ in range(4)))
    assert sorted(found) == [False, True, True, True]
    assert await lend(tmp_path, "a")


async def test_whoever_waits_too_long_is_told(tmp_path: Path) -> None:
    async def slow(_: Path) -> None:
        await asyncio.sleep(1)

    async def first() -> None:
        async with shelf.result(tmp_path, "a", slow, seconds=1):
            pass

    task = asyncio.ensure_future(first())
    await asyncio.sleep(0.1)
    with pytest.raises(GatewrightError) as caught:
        await lend(tmp_path, "a", seconds=0.1)
    await task
    assert caught.value.code == "GW-SETUP-BUSY"


async def test_what_failed_leaves_nothing(tmp_path: Path) -> None:
    async def broken(folder: Path) -> None:
        (folder / "half").touch()
        raise ValueError

    with pytest.raises(ValueError):
        async with shelf.result(tmp_path, "a", broken, seconds=1):
            pass
    assert names(tmp_path) == ["a.lock"]
    assert not await lend(tmp_path, "a")


async def test_the_oldest_go_and_what_is_lent_stays(tmp_path: Path) -> None:
    await lend(tmp_path, "old")
    os.utime(tmp_path / "old.lock", (1, time.time() - 60))
    async with shelf.result(tmp_path, "mine", make, seconds=5) as (mine, _):
        os.utime(tmp_path / "mine.lock", (1, time.time() - 30))
        await lend(tmp_path, "new", kept=150_000)
        assert mine.is_dir()
        assert (tmp_path / "new").is_dir()
        assert not (tmp_path / "old").exists()


async def test_what_nobody_uses_for_weeks_goes(tmp_path: Path) -> None:
    await lend(tmp_path, "old")
    os.utime(tmp_path / "old.lock", (1, 1))
    await lend(tmp_path, "new")
    assert names(tmp_path) == ["new", "new.lock"]
