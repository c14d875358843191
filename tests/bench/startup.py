"""What `gatewright --help` costs beside an empty Python: `python -m tests.bench.startup`."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence

import msgspec

from tests.bench.figures import Figure, machine

ROUNDS = 9
AIM_MS = 250.0
COMMANDS = {
    "gatewright --help": [sys.executable, "-P", "-m", "bot", "--help"],
    "python -c pass": [sys.executable, "-c", "pass"],
}


class Start(msgspec.Struct, frozen=True):
    """One run of a program, in milliseconds."""

    wall: float
    cpu: float


def start(command: Sequence[str]) -> Start:
    """Run a program to its end; CPU is its own, user and system."""
    began = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    wall = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    return Start(wall * 1e3, (used.ru_utime + used.ru_stime) * 1e3)


def run() -> Sequence[Figure]:
    """Measure in alternating rounds and print."""
    starts: dict[str, list[Start]] = {name: [] for name in COMMANDS}
    for _ in range(ROUNDS + 1):
        for name, command in COMMANDS.items():
            starts[name].append(start(command))
    print(f"start of the command line, medians of {ROUNDS} rounds after a first one; {machine()}")
    print(f"{'':24}{'wall':>8}{'min':>8}{'CPU':>8}   ms")
    for name, (_, *seen) in starts.items():
        walls = [each.wall for each in seen]
        cpu = statistics.median(each.cpu for each in seen)
        print(f"{name:24}{statistics.median(walls):>8.0f}{min(walls):>8.0f}{cpu:>8.0f}")
    ours, bare = (statistics.median(each.wall for each in seen[1:]) for seen in starts.values())
    return (Figure("gatewright --help", ours, "ms", AIM_MS, note=f"python -c pass: {bare:.0f}"),)


if __name__ == "__main__":
    run()
