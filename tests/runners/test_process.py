from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bot.model.errors import GatewrightError
from runners import process
from runners.process import processes_of, runtime_folder, sweep, take_slot

USER = 64_900  # far from the slots of real workers
root = pytest.mark.skipif(os.geteuid() != 0, reason="only root has users to give away")


def gone(pid: int, seconds: float = 5.0) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            if Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z":
                return True
        except (FileNotFoundError, ProcessLookupError):
            return True
        time.sleep(0.02)
    return False


def test_two_workers_of_one_machine_never_share_a_slot() -> None:
    first, held = take_slot(USER)
    second, other = take_slot(USER)
    assert first != second
    held.close()
    third, again = take_slot(USER)
    assert third == first
    other.close()
    again.close()


def test_workers_meet_where_nobody_else_may_write() -> None:
    folder = runtime_folder()
    assert folder == runtime_folder()
    assert folder.stat().st_uid == os.geteuid()
    assert not folder.stat().st_mode & 0o077


def test_a_folder_that_others_may_write_is_not_trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "RUN", tmp_path)
    monkeypatch.setattr(process, "SHARED", tmp_path / "shared")
    (tmp_path / "user" / str(os.geteuid())).mkdir(parents=True)
    own = process.own_folder()
    own.mkdir()
    own.chmod(0o777)
    assert runtime_folder() == tmp_path / f"shared-{os.geteuid()}"
    (tmp_path / f"shared-{os.geteuid()}").rmdir()
    (tmp_path / f"shared-{os.geteuid()}").symlink_to(tmp_path)
    with pytest.raises(GatewrightError, match="GW-WORKER-SLOTS"):
        runtime_folder()


def test_the_lock_of_a_slot_is_never_a_link(tmp_path: Path) -> None:
    (tmp_path / f"slot-{USER + 500}").symlink_to(tmp_path / "victim")
    with pytest.raises(OSError, match="symbolic links"):
        take_slot(USER + 500, tmp_path)
    assert not (tmp_path / "victim").exists()


def test_a_child_dies_when_its_parent_is_killed() -> None:
    code = (
        "import os, sys, time\nfrom runners.process import die_with\nparent = os.getpid()\n"
        "child = os.fork()\n"
        "if child == 0:\n    die_with(parent)\n    print(os.getpid(), flush=True)\n    time.sleep(60)\n"
        "os.wait()\n"
    )
    parent = subprocess.Popen([sys.executable, "-P", "-c", code], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    parent.stdout.close()
    assert gone(child)


def test_a_child_whose_parent_is_gone_already_ends_at_once() -> None:
    code = "from runners.process import die_with\ndie_with(1 << 22)\nprint('lives')"
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")


@root
def test_what_an_earlier_run_left_is_killed_even_in_a_session_of_its_own() -> None:
    left = subprocess.Popen(
        ["setpriv", "--reuid", str(USER), "--regid", str(USER), "--clear-groups", "setsid", "sleep", "60"]
    )
    while not processes_of(USER):
        time.sleep(0.01)
    assert sweep(USER) >= 1
    assert processes_of(USER) == []
    left.wait()


def test_the_sweep_never_touches_root() -> None:
    assert sweep(0) == 0
