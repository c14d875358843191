"""Which bound ended a run, and what holds on this machine."""

from __future__ import annotations

import asyncio
import gc

import pytest

from bot import settings
from runners.workspace import cgroup
from runners.workspace.bounds import Bounds, Standing, clear, judged, standing
from runners.workspace.cgroup import Counts
from runners.workspace.disk import TICK
from runners.workspace.process import FLOOD_BYTES, Ended

TABLE = settings.Sandbox(processes=100)


def ended(code: int = 0, **more) -> Ended:
    return Ended(**{"exit_code": code, "output": b"", "total": 0, "duration_ms": 1, "timed_out": False, **more})


@pytest.mark.parametrize(
    ("run", "after", "is_full", "limit"),
    [
        (ended(), Counts(), False, ""),
        (ended(3), Counts(), False, ""),
        (ended(137), Counts(), False, ""),  # killed by somebody; we do not guess
        (ended(137), Counts(killed=1), False, "memory"),
        (ended(0), Counts(killed=1), False, ""),  # a child of it was, and it got over that
        (ended(1), Counts(refused=4), False, "processes"),
        (ended(0), Counts(refused=4), False, ""),
        (ended(137, timed_out=True), Counts(), False, "time"),
        (ended(137, timed_out=True, crowd=96), Counts(), False, "processes"),
        (ended(137, timed_out=True, crowd=20), Counts(), False, "time"),
        (ended(153), Counts(), False, "file"),
        (ended(137, total=FLOOD_BYTES + 1), Counts(), False, "output"),
        (ended(137, total=FLOOD_BYTES + 1), Counts(killed=1), True, "disk"),
    ],
)
def test_the_surest_sign_names_the_bound(run, after, is_full, limit):
    verdict = judged(TABLE, run, Counts(), after, is_full=is_full)
    assert verdict.limit == limit
    assert bool(verdict.words) == (limit not in {"", "time"})


def test_what_earlier_runs_met_is_not_this_ones():
    met = Counts(killed=2, refused=9)
    assert judged(TABLE, ended(1), met, met, is_full=False).limit == ""


def test_every_bound_says_what_holds_it_here():
    listed = {each.name: each for each in standing(settings.Sandbox(cpus=2))}
    holds = cgroup.find().holds
    assert (listed["memory of the jail"].by, listed["CPUs"].by) == (
        "cgroup" if "memory" in holds else "",
        "cgroup" if "cpu" in holds else "",
    )
    assert listed["processes"].by == ("cgroup and rlimit" if "pids" in holds else "rlimit")
    assert {each.by for name, each in listed.items() if name not in {"memory of the jail", "CPUs"}} <= {
        "rlimit", "cgroup and rlimit", "tmpfs", "watch",
    }  # fmt: skip


def test_a_bound_that_is_switched_off_is_not_spoken_of():
    listed = {each.name for each in standing(settings.Sandbox(jail_memory_mb=0, cpus=0, disk_mb=0))}
    assert not listed & {"memory of the jail", "CPUs", "growth of the worktree"}


def test_the_words_say_why_a_bound_does_not_hold():
    assert Standing("CPUs", 2.0, "", "", "no cgroup").words == "CPUs: 2: does not hold (no cgroup)"
    assert Standing("processes", 64, "", "rlimit").words == "processes: 64 (rlimit)"


def test_a_note_that_names_anything_else_is_not_followed(tmp_path):
    victim = tmp_path / "jail-1"
    victim.mkdir()
    (tmp_path / "group").write_text(str(victim))
    clear(tmp_path / "group")
    clear(tmp_path / "absent")
    assert victim.is_dir()


async def test_a_worktree_that_goes_away_ends_its_watch_in_silence(tmp_path, caplog):
    tree = tmp_path / "tree"
    tree.mkdir()
    bounds = Bounds(settings.Sandbox(jail_memory_mb=0), tree, tmp_path / "note")
    bounds.follow("mark-of-nobody")
    await asyncio.sleep(0)
    tree.rmdir()
    await asyncio.sleep(2 * TICK)
    await bounds.close()
    del bounds
    gc.collect()
    assert "never retrieved" not in caplog.text
