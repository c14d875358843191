"""Groups of limits: what is read and written is pure; making and ending them needs a version 2 that root may write."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from bot import settings
from bot.model.errors import GatewrightError
from runners.workspace import cgroup
from runners.workspace.cgroup import Group, find, limits, place, reap
from tests.runners.workspace.kit import launched

ALL = frozenset(cgroup.WANTED)
V2 = "29 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n"
V1 = "30 23 0:27 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
HYBRID = V1 + "31 23 0:28 / /sys/fs/cgroup/unified rw - cgroup2 c rw\n"


@pytest.mark.parametrize(
    ("mounts", "membership", "expected"),
    [
        (V2, "0::/\n", "/sys/fs/cgroup"),
        (V2, "0::/system.slice/gatewright.service\n", "/sys/fs/cgroup/system.slice/gatewright.service"),
        (HYBRID, "4:memory:/x\n0::/a\n", "/sys/fs/cgroup/unified/a"),
        (V2.replace(" / /sys", " /docker/ab /sys"), "0::/docker/ab/worker\n", "/sys/fs/cgroup/worker"),
        (V2.replace(" / /sys", " /docker/ab /sys"), "0::/docker/abc\n", None),  # another's, which begins alike
        (V2.replace(" / /sys", " /docker/ab /sys"), "0::/../elsewhere\n", None),
        (V2, "4:memory:/x\n", None),
        (V1, "0::/\n", None),
    ],
)
def test_our_own_group_is_found_as_the_kernel_tells_it(mounts, membership, expected):
    found = place(mounts, membership)
    assert (str(found[1]) if found else None) == expected


def test_what_is_written_is_what_the_settings_say():
    table = settings.Sandbox(jail_memory_mb=512, processes=100, cpus=1.5)
    assert limits(table, ALL) == {
        "memory.max": str(512 << 20), "memory.swap.max": "0", "memory.oom.group": "1",
        "pids.max": "100", "cpu.max": "150000 100000",
    }  # fmt: skip


def test_nothing_is_written_that_is_not_wanted_or_cannot_hold():
    table = settings.Sandbox(jail_memory_mb=0, cpus=0)
    assert limits(table, ALL) == {"pids.max": "512"}
    assert limits(settings.Sandbox(cpus=2), frozenset()) == {}
    assert limits(settings.Sandbox(cpus=0.001), frozenset({"cpu"})) == {"cpu.max": "1000 100000"}  # the kernel's least


def test_a_machine_without_version_2_says_so(tmp_path):
    (tmp_path / "mountinfo").write_text("")
    (tmp_path / "cgroup").write_text("0::/\n")
    assert find(tmp_path).why == "no cgroup version 2 is mounted here"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_group_that_is_not_ours_is_left_alone(tmp_path):
    (tmp_path / "mountinfo").write_text(V2)
    (tmp_path / "cgroup").write_text("0::/\n")
    assert "Delegate=yes" in find(tmp_path).why


def test_what_is_found_can_be_used_or_says_why_not():
    home = find()
    assert bool(home.path) != bool(home.why)
    assert home.holds <= ALL


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder of groups of our own; without controllers, where version 1 has them."""
    found = place(Path("/proc/self/mountinfo").read_text(), Path("/proc/self/cgroup").read_text())
    if found is None or os.geteuid() != 0 or not os.access(found[0], os.W_OK):
        pytest.skip("no cgroup version 2 that we may write")
    path = found[0] / f"gatewright-test-{os.getpid()}"
    path.mkdir()
    yield path
    assert reap(path) == 0, "a group was left"
    path.rmdir()


def inside(group: Group, line: str) -> subprocess.Popen[bytes]:
    process = launched(*group.enter(), "bash", "-c", line)
    deadline = time.monotonic() + 10
    while "sleep" not in " ".join(running(group)) and time.monotonic() < deadline:
        time.sleep(0.01)
    return process


def running(group: Group) -> list[str]:
    found = []
    for pid in (group.path / "cgroup.procs").read_text().split():
        with suppress(OSError):  # gone meanwhile
            found.append(Path(f"/proc/{pid}/comm").read_text().strip())
    return found


def test_a_group_ends_all_that_entered_it_however_it_hides(folder):
    group = Group.make(folder, {})
    process = inside(group, "trap '' TERM; (setsid bash -c 'setsid sleep 7654601 &' &); setsid sleep 7654602 & wait")
    assert running(group).count("sleep") >= 1
    begun = time.monotonic()
    assert group.end()
    assert time.monotonic() - begun < 1
    assert process.wait() == -signal.SIGKILL
    assert not group.path.exists()


def test_what_enters_says_when_it_cannot(folder):
    group = Group.make(folder, {})
    group.end()
    assert launched(*group.enter(), "true").wait() == 96


def test_a_group_is_not_made_without_its_limits(folder):
    with pytest.raises(GatewrightError, match="GW-SANDBOX-START"):
        Group.make(folder, {"no.such": "1"})
    assert list(folder.glob("jail-*")) == []


def test_the_group_of_a_worker_that_was_killed_is_ended_by_the_next(folder):
    left = Group.make(folder, {})
    process = inside(left, "sleep 7654603 & wait")
    left._release()  # as the kernel does when a worker is killed
    assert reap(folder) == 1
    assert process.wait() == -signal.SIGKILL


def test_the_group_of_a_worker_that_lives_is_let_alone(folder):
    group = Group.make(folder, {})
    assert reap(folder) == 0
    assert group.path.exists()
    assert group.counts() == cgroup.Counts()
    group.end()
    group.end()  # twice is no error
