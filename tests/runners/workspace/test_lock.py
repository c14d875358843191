"""One holder at a time, also when the file goes while somebody waits for it."""

from __future__ import annotations

import asyncio
import os

import pytest

from runners.workspace import lock


async def test_a_second_holder_waits_and_gives_up_with_the_reason_it_was_given(tmp_path):
    path = tmp_path / "x.lock"
    async with lock.held(path, 1, TimeoutError("first")):
        with pytest.raises(TimeoutError, match="second"):
            async with lock.held(path, 0.1, TimeoutError("second")):
                pass
    async with lock.held(path, 0.1, TimeoutError("third")):
        assert lock.take(path) is None


async def test_a_file_that_its_holder_removes_does_not_let_two_in(tmp_path):
    path = tmp_path / "x.lock"
    inside = []

    async def hold(number: int) -> None:
        async with lock.held(path, 5, TimeoutError()):
            inside.append(number)
            assert len(inside) == 1
            await asyncio.sleep(0.02)
            path.unlink()
            inside.remove(number)

    await asyncio.gather(*(hold(number) for number in range(8)))
    assert not path.exists()


def test_a_link_in_the_place_of_the_file_is_not_followed(tmp_path):
    (tmp_path / "x.lock").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="symbolic"):
        lock.take(tmp_path / "x.lock")
    assert not os.path.lexists(tmp_path / "elsewhere")
