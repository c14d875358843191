"""What a tree takes on its disk."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from runners.workspace.disk import Growth, crowd, descendants, held, measure

MEBI = 1 << 20


def write(path: Path, mebibytes: int) -> None:
    path.write_bytes(os.urandom(mebibytes * MEBI))


async def test_a_tree_is_added_up_without_following_anything(tmp_path):
    write(tmp_path / "a", 3)
    (tmp_path / "up").symlink_to("/usr")
    os.link(tmp_path / "a", tmp_path / "again")
    (tmp_path / "sparse").touch()
    os.truncate(tmp_path / "sparse", 1 << 40)
    used, is_whole = await measure(tmp_path)
    assert 3 * MEBI <= used < 4 * MEBI
    assert is_whole


async def test_a_very_deep_tree_is_no_trouble(tmp_path):
    here = os.open(tmp_path, os.O_RDONLY)
    for _ in range(200):  # 40,000 characters of path: no call takes that many
        os.mkdir("d" * 200, dir_fd=here)
        here, above = os.open("d" * 200, os.O_RDONLY, dir_fd=here), here
        os.close(above)
    os.close(here)
    assert (await measure(tmp_path))[1]


async def test_growth_counts_from_the_first_run(tmp_path):
    write(tmp_path / "old", 20)
    growth = Growth(tmp_path, 8 * MEBI)
    growth.begin()
    watching = asyncio.ensure_future(growth.until_passed())
    await asyncio.sleep(0.6)
    assert not watching.done()
    write(tmp_path / "new", 12)
    async with asyncio.timeout(5):
        await watching
    assert growth.passed
    assert await growth.end()
    await growth.close()


async def test_a_run_that_is_over_before_it_is_measured_is_counted_at_its_end(tmp_path):
    growth = Growth(tmp_path, 8 * MEBI)
    growth.begin()
    await asyncio.sleep(0.3)
    write(tmp_path / "new", 24)
    assert await growth.end() or await later(growth)


async def later(growth: Growth) -> bool:
    """Where neighbours make room on the disk at the same moment, it is time that tells."""
    await asyncio.sleep(1.1)
    return await growth.end()


async def test_without_a_bound_nothing_is_looked_at(tmp_path):
    growth = Growth(tmp_path, 0)
    growth.begin()
    write(tmp_path / "new", 4)
    assert not await growth.end()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.4):
            await growth.until_passed()


def test_open_files_without_a_name_are_found_in_whoever_holds_them(tmp_path):
    code = (
        "import sys, time; f = open(sys.argv[1], 'wb', 0); f.write(bytes(5 << 20)); print(flush=True); time.sleep(60)"
    )
    argv = [sys.executable, "-c", code, str(tmp_path / "f")]
    with subprocess.Popen(argv, stdout=subprocess.PIPE) as process:
        process.stdout.readline()
        assert held(tmp_path, descendants(os.getpid())) == 0
        (tmp_path / "f").unlink()
        assert held(tmp_path, descendants(os.getpid())) >= 5 * MEBI
        process.kill()


def test_descendants_are_found_and_counted_with_their_threads():
    code = (
        "import threading, time; threading.Thread(target=time.sleep, args=(60,), daemon=True).start(); time.sleep(60)"
    )
    with subprocess.Popen(["sh", "-c", f"{sys.executable} -c '{code}' & wait"], start_new_session=True) as process:
        deadline = time.monotonic() + 10
        while crowd(process.pid) < 2 and time.monotonic() < deadline:
            time.sleep(0.02)
        (python,) = descendants(process.pid)
        assert crowd(process.pid) == 2
        os.kill(python, 9)
