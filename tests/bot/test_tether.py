"""Programs that die with their parent."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bot import tether

PARENT = """
import os, subprocess, sys
child = subprocess.Popen([sys.executable, "-I", "-S", sys.argv[1], str(os.getpid()), "/bin/sleep", "60"])
print(child.pid, flush=True)
sys.stdin.read()
"""


def gone(pid: int, within: float = 5) -> bool:
    """Tell whether a process ended (or is left as a zombie for init) in time."""
    deadline = time.monotonic() + within
    while time.monotonic() < deadline:
        try:
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except FileNotFoundError:
            return True
        time.sleep(0.01)
    return False


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's parent-death signal is Linux's")
def test_program_ends_when_its_parent_is_killed_without_a_word() -> None:
    command = [sys.executable, "-c", PARENT, tether.__file__]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as parent:
        child = int(parent.stdout.readline())
        os.kill(child, 0)
        parent.send_signal(signal.SIGKILL)
        parent.wait()
    assert gone(child)


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's parent-death signal is Linux's")
def test_program_whose_parent_is_gone_already_is_not_started() -> None:
    command = [sys.executable, "-I", "-S", tether.__file__, "1", "/bin/echo", "started"]
    done = subprocess.run(command, capture_output=True, check=False)
    assert (done.returncode, done.stdout) == (1, b"")


def test_program_replaces_the_tether_and_keeps_its_process_id() -> None:
    command = [sys.executable, "-I", "-S", tether.__file__, str(os.getpid()), "/bin/sh", "-c", "echo $$"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert int(process.stdout.read()) == process.pid
