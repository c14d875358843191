"""One process from start to end, without a jail around it."""

from __future__ import annotations

import asyncio
import secrets
from pathlib import Path

import pytest

from runners.workspace.process import Window, finish, marked, sweep

ENV = {"PATH": "/usr/bin:/bin"}


async def run(command: str, *, timeout: float = 10, max_output: int = 1000, mark: str = "", **more):
    return await finish(
        ["bash", "-c", command], env=ENV, cwd=Path("/"), mark=mark or secrets.token_hex(8), timeout=timeout,
        max_output=max_output, confined=False, **more,
    )  # fmt: skip


@pytest.mark.parametrize("sizes", [[10], [50, 50], [100, 1], [1] * 300, [1000], [7] * 2000])
def test_a_window_keeps_both_ends_and_says_what_is_missing(sizes):
    window, whole = Window(100), b"".join(bytes([65 + i % 26]) * size for i, size in enumerate(sizes))
    at = 0
    for size in sizes:
        window.add(whole[at : at + size])
        at += size
    kept = window.content()
    if len(whole) <= 100:
        assert kept == whole
    else:
        assert kept == whole[:50] + f"\n... {len(whole) - 100} bytes left out ...\n".encode() + whole[-50:]


async def test_output_and_exit_code_come_back_together():
    ended = await run("echo out; echo err >&2; exit 42")
    assert (ended.exit_code, ended.output, ended.timed_out) == (42, b"out\nerr\n", False)


async def test_a_signal_is_told_as_a_shell_tells_it():
    assert (await run("kill -TERM $$")).exit_code == 143


async def test_a_flood_is_read_and_forgotten():
    seen = []
    ended = await run("head -c 5000000 /dev/zero", on_output=lambda chunk: seen.append(len(chunk)))
    assert ended.total == sum(seen) == 5_000_000
    assert len(ended.output) < 1100
    assert ended.result(1000).truncated


async def test_a_background_child_does_not_keep_the_caller_waiting_and_is_killed():
    mark = secrets.token_hex(8)
    ended = await run("setsid sleep 7654331 & disown; echo done", mark=mark, timeout=5)
    assert ended.output == b"done\n"
    assert not ended.timed_out
    assert marked(mark) == []


async def test_a_time_out_kills_those_that_do_not_want_to_die():
    mark = secrets.token_hex(8)
    ended = await run(
        "trap '' TERM HUP INT; (setsid bash -c \"trap '' TERM; sleep 7654332\" &) ; echo up; sleep 7654333",
        timeout=0.4,
        mark=mark,
    )
    assert (ended.timed_out, ended.exit_code, ended.output) == (True, 137, b"up\n")
    assert marked(mark) == []


async def test_a_cancelled_run_leaves_nothing():
    mark = secrets.token_hex(8)
    task = asyncio.ensure_future(run("setsid sleep 7654334 & sleep 7654335", mark=mark))
    await asyncio.sleep(0.2)
    assert marked(mark)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert marked(mark) == []


async def test_a_sweep_ends_only_what_carries_the_mark():
    mine, other = secrets.token_hex(8), secrets.token_hex(8)
    spared = await asyncio.create_subprocess_exec("sleep", "7654336", env={**ENV, "GW_RUN": other})
    victim = await asyncio.create_subprocess_exec("sleep", "7654337", env={**ENV, "GW_RUN": mine + "-3"})
    assert await sweep(mine) == 1
    assert await victim.wait() == -9
    assert spared.returncode is None
    spared.kill()
    await spared.wait()
