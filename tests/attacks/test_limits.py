"""Taking the machine from inside: each bound is met, ends the run, and is named as what it is.

What needs control groups of version 2 runs where they can be had; the rest of this file holds on every machine.
"""

from __future__ import annotations

import asyncio
import os
import textwrap
import time

import pytest

from bot import settings
from bot.model.errors import GatewrightError
from runners.workspace import cgroup
from runners.workspace.process import marked

PYTHON = "/usr/bin/python3"
PATIENCE = 3 if os.cpu_count() != 1 else 20  # seconds in which 64 processes can be started
HOME = cgroup.find()
grouped = pytest.mark.skipif("memory" not in HOME.holds, reason=f"no memory of a group can be bounded: {HOME.why}")
counted = pytest.mark.skipif("pids" not in HOME.holds, reason=f"no processes of a group can be counted: {HOME.why}")
shared = pytest.mark.skipif("cpu" not in HOME.holds, reason=f"no CPUs of a group can be bounded: {HOME.why}")
EATERS = """
import os, sys, time
for _ in range(int(sys.argv[1])):
    if os.fork() == 0:
        block = bytearray(os.urandom(1 << 20) * int(sys.argv[2]))
        time.sleep(3); os._exit(0)
for _ in range(int(sys.argv[1])): os.wait()
print("TOOK IT")
"""


class TestDisk:
    async def test_filling_the_disk_ends_the_run_and_says_so(self, make_jail, tree):
        jail = make_jail(tree, settings.Sandbox(disk_mb=64))
        begun = time.monotonic()
        ended = await jail.run(["bash", "-c", "head -c 300M /dev/zero > big; sleep 60"], timeout=50)
        assert (ended.limit, ended.exit_code, ended.timed_out) == ("disk", 137, False)
        assert "the worktree grew by more than 64 MB (sandbox.disk_mb)" in ended.output
        assert time.monotonic() - begun < 10
        assert marked(jail._mark) == []
        assert (await jail.run(["bash", "-c", "sleep 60"], timeout=50)).limit == "disk", "it is still full"
        assert (await jail.run(["rm", "big"], timeout=50)).limit == "", "what makes room is let"
        assert (await jail.run(["sleep", "1"], timeout=50)).limit == ""

    async def test_many_small_files_count_together(self, make_jail, tree):
        jail = make_jail(tree, settings.Sandbox(disk_mb=32))
        split = "head -c 1M /dev/zero | split -b 16K - a/b/c/$i-"
        line = f"mkdir -p a/b/c; for i in {{1..40}}; do {split}; done; sleep 60"
        assert (await jail.run(["bash", "-c", line], timeout=50)).limit == "disk"

    async def test_files_without_a_name_count_while_they_are_open(self, make_jail, tree):
        jail = make_jail(tree, settings.Sandbox(disk_mb=64))
        line = "exec 3>big; rm big; head -c 200M /dev/zero >&3; sleep 60"
        assert (await jail.run(["bash", "-c", line], timeout=20)).limit == "disk"
        assert list(tree.iterdir()) == []

    async def test_a_folder_that_is_closed_to_us_hides_nothing(self, make_jail, tree):
        jail = make_jail(tree, settings.Sandbox(disk_mb=64))
        line = "mkdir d; exec 3>d/big; chmod 0 d; head -c 200M /dev/zero >&3; sleep 60"
        limit = (await jail.run(["bash", "-c", line], timeout=20)).limit
        (tree / "d").chmod(0o700)
        assert limit == "disk"

    async def test_one_quick_run_after_another_is_counted_too(self, make_jail, tree):
        jail = make_jail(tree, settings.Sandbox(disk_mb=64))
        said = [await jail.run(["bash", "-c", f"head -c 40M /dev/zero > f{i}"], timeout=20) for i in range(3)]
        assert "disk" in [each.limit for each in said]

    async def test_what_was_there_before_and_what_goes_again_does_not_count(self, make_jail, tree):
        (tree / "old").write_bytes(bytes(100 << 20))
        jail = make_jail(tree, settings.Sandbox(disk_mb=64))
        line = "for i in 1 2 3; do head -c 30M /dev/zero > f; sleep 0.6; rm f; done; echo fine"
        ended = await jail.run(["bash", "-c", line], timeout=30)
        assert (ended.limit, ended.output) == ("", "fine\n")

    async def test_an_agent_that_somebody_else_starts_is_watched_as_well(self, make_jail, tree):
        jail = make_jail(tree, settings.Sandbox(disk_mb=64))
        path = jail.wrapper(["bash", "-c", "head -c 200M /dev/zero > big; sleep 60"], env={})
        process = await asyncio.create_subprocess_exec(path)
        async with asyncio.timeout(10):
            assert await process.wait() != 0
        assert "the worktree grew by more than 64 MB" in jail.passed
        await jail.close()
        assert marked(jail._mark) == []

    async def test_no_limit_means_none(self, make_jail, tree):
        jail = make_jail(tree, settings.Sandbox(disk_mb=0))
        ended = await jail.run(["bash", "-c", "head -c 64M /dev/zero > big; sleep 1; echo fine"], timeout=20)
        assert (ended.limit, ended.output) == ("", "fine\n")

    async def test_a_link_to_the_hosts_files_counts_for_what_it_is(self, make_jail, tree):
        jail = make_jail(tree, settings.Sandbox(disk_mb=16))
        ended = await jail.run(["bash", "-c", "ln -s /usr usr; ln -s / root; sleep 1.5; echo fine"], timeout=20)
        assert (ended.limit, ended.output) == ("", "fine\n")


class TestFilesAndOutput:
    async def test_a_file_that_is_too_large_is_named(self, make_jail, tree):
        jail = make_jail(tree, settings.Sandbox(file_mb=1))
        ended = await jail.run(["bash", "-c", "exec head -c 3M /dev/zero > big"], timeout=10)
        assert ended.limit == "file"
        assert "a file of more than 1 MB (sandbox.file_mb)" in ended.output

    async def test_endless_output_is_named(self, jail):
        ended = await jail.run(["yes"], timeout=60, max_output=1_000)
        assert (ended.limit, ended.truncated, ended.timed_out) == ("output", True, False)
        assert "stopped: more than 256 MiB of output" in ended.output

    async def test_an_endless_sleep_is_told_as_time(self, jail):
        ended = await jail.run(["sleep", "infinity"], timeout=0.3)
        assert (ended.limit, ended.timed_out, ended.output) == ("time", True, "")

    async def test_a_command_that_merely_fails_met_no_bound(self, jail):
        for line in ("exit 3", "kill -9 $$", "true"):
            assert (await jail.run(["bash", "-c", line], timeout=10)).limit == ""


class TestProcesses:
    async def test_a_fork_bomb_is_told_as_one_and_leaves_nothing(self, make_jail, tree):
        jail = make_jail(tree, settings.Sandbox(processes=64))
        code = """
        import os, time
        while True:
            try:
                if os.fork() == 0: time.sleep(60); os._exit(0)
            except BlockingIOError: time.sleep(0.1)
        """
        ended = await jail.run([PYTHON, "-c", textwrap.dedent(code)], timeout=PATIENCE)
        assert (ended.limit, ended.timed_out) == ("processes", True)
        assert "more than 64 processes (sandbox.processes)" in ended.output
        assert marked(jail._mark) == []

    @counted
    async def test_a_bomb_that_gives_up_is_told_as_one_too(self, make_jail, tree):
        jail = make_jail(tree, settings.Sandbox(processes=64))
        code = "import os, time\nfor _ in range(200):\n    if os.fork() == 0: time.sleep(9); os._exit(0)"
        ended = await jail.run([PYTHON, "-c", code], timeout=8)
        assert (ended.limit, ended.timed_out) == ("processes", False)

    @counted
    async def test_runs_of_one_jail_share_its_processes(self, make_jail, tree):
        jail = make_jail(tree, settings.Sandbox(processes=64))
        line = "for i in {1..40}; do sleep 60 & done; wait"
        ended = await asyncio.gather(*(jail.run(["bash", "-c", line], timeout=PATIENCE) for _ in range(2)))
        assert any("Resource temporarily unavailable" in each.output for each in ended)


class TestGroup:
    """What only a control group can hold."""

    @grouped
    async def test_memory_of_all_processes_together_is_bounded_and_told(self, make_jail, tree):
        jail = make_jail(tree, settings.Sandbox(jail_memory_mb=96))
        alone = await jail.run([PYTHON, "-c", EATERS, "1", "40"], timeout=30)
        assert alone.output == "TOOK IT\n", "one of them is within the bounds"
        ended = await jail.run([PYTHON, "-c", EATERS, "4", "40"], timeout=30)
        assert (ended.limit, ended.exit_code) == ("memory", 137)
        assert "more than 96 MB of memory, all processes together (sandbox.jail_memory_mb)" in ended.output
        assert marked(jail._mark) == []

    @grouped
    async def test_scratch_space_is_memory_and_counts(self, make_jail, tree):
        jail = make_jail(tree, settings.Sandbox(jail_memory_mb=64, tmp_mb=512))
        ended = await jail.run(["bash", "-c", "head -c 200M /dev/zero > /tmp/x; echo TOOK IT"], timeout=30)
        assert ended.limit == "memory"

    @grouped
    async def test_an_agent_that_somebody_else_starts_is_bounded_as_well(self, make_jail, tree):
        jail = make_jail(tree, settings.Sandbox(jail_memory_mb=96))
        process = await asyncio.create_subprocess_exec(jail.wrapper([PYTHON, "-c", EATERS, "4", "40"], env={}))
        assert await process.wait() != 0
        assert "more than 96 MB of memory" in jail.passed

    @shared
    async def test_more_processes_do_not_get_more_of_the_cpu(self, make_jail, tree):
        jail = make_jail(tree, settings.Sandbox(cpus=0.25))
        line = "for i in 1 2; do timeout 3 sh -c 'while :; do :; done' & done; wait"
        begun = time.monotonic()
        group = jail._bounds._group
        await jail.run(["bash", "-c", line], timeout=30)
        used = dict(each.split() for each in (group.path / "cpu.stat").read_text().splitlines())
        assert int(used["nr_throttled"]) > 0
        assert int(used["usage_usec"]) < 0.6e6 * (time.monotonic() - begun)

    @grouped
    async def test_the_group_goes_with_the_jail_and_takes_all_with_it(self, make_jail, tree):
        jail = make_jail(tree)
        path = jail._bounds._group.path
        process = await asyncio.create_subprocess_exec(jail.wrapper(["sleep", "7654501"], env={}))
        while not (path / "cgroup.procs").read_text().split():
            await asyncio.sleep(0.01)
        begun = time.monotonic()
        await jail.close()
        assert time.monotonic() - begun < 1
        assert await process.wait() != 0
        assert not path.exists()

    @grouped
    async def test_from_inside_the_group_cannot_be_seen_or_changed(self, make_jail, tree):
        jail = make_jail(tree)
        ended = await jail.run(["bash", "-c", "cat /proc/self/cgroup; ls /sys/fs/cgroup"], timeout=10)
        assert "jail-" not in ended.output
        assert "No such file" in ended.output

    @grouped
    async def test_a_jail_whose_group_is_gone_does_not_start_without_it(self, make_jail, tree):
        jail = make_jail(tree)
        jail._bounds._group.path.rmdir()
        with pytest.raises(GatewrightError, match="GW-SANDBOX-START"):
            await jail.run(["touch", "ran"], timeout=10)
        assert list(tree.iterdir()) == []


async def test_scratch_space_and_memory_hold_where_no_group_can_be_had(make_jail, tree):
    """The fallback, which is all there is on many machines."""
    jail = make_jail(tree, settings.Sandbox(memory_mb=512, tmp_mb=16))
    line = f"{PYTHON} -c 'bytearray(700 << 20)'; head -c 40M /dev/zero > /tmp/x"
    said = (await jail.run(["bash", "-c", line], timeout=10)).output
    assert "MemoryError" in said
    assert "No space left" in said
