"""Which processes may outlive which: parent death, slots, and what earlier runs left behind."""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import time
from typing import Final

from bot.model.errors import GatewrightError

PR_SET_PDEATHSIG: Final = 1  # linux/prctl.h
SLOTS: Final = 256
SWEEP_SECONDS: Final = 5.0


def die_with(parent: int) -> None:
    """Have the kernel kill this process when its parent dies; exits at once if the parent is gone already."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")
    if os.getppid() != parent:
        os._exit(1)


def take_slot(first_user: int) -> tuple[int, socket.socket]:
    """Take the lowest free slot of this machine; it is free again when the socket closes, however the process ends.

    Two workers must never share a slot: a slot's user is swept clean before every attempt.
    """
    for slot in range(SLOTS):
        holder = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            holder.bind(f"\0gatewright-slot-{first_user + slot}")
        except OSError:
            holder.close()
            continue
        return slot, holder
    raise GatewrightError(
        "GW-WORKER-SLOTS", f"all {SLOTS} worker slots of this machine are taken", fix="stop workers that are not needed"
    )


def processes_of(user: int) -> list[int]:
    """List the live processes whose real user is `user`."""
    wanted = b"\nUid:\t%d\t" % user
    names = filter(str.isdecimal, os.listdir("/proc"))  # noqa: PTH208 - names are all it takes
    return [int(name) for name in names if _is_live(name, wanted)]


def sweep(user: int) -> int:
    """Kill all that runs as a slot's user and return how many; does nothing unless root, where slots share no user."""
    if os.geteuid() != 0 or user == 0:
        return 0
    killed: set[int] = set()
    deadline = time.monotonic() + SWEEP_SECONDS
    while left := processes_of(user):
        if time.monotonic() > deadline:
            raise GatewrightError(
                "GW-WORKER-SWEEP",
                f"processes of an earlier run could not be ended: {left[:5]}",
                why=f"they run as user {user}, which the next agent would share",
                fix="end them by hand, or restart the machine",
            )
        for process in left:
            _kill(process)
        killed.update(left)
        time.sleep(0.01)
    return len(killed)


def _is_live(process: str, wanted: bytes) -> bool:
    """Look for the owner in a process' status; before every fork, so that it reads no more than it must."""
    try:
        with open(f"/proc/{process}/status", "rb", buffering=0) as file:  # noqa: PTH123 - half the time of a Path
            status = file.read(4096)
    except (FileNotFoundError, ProcessLookupError):  # gone between listing and reading
        return False
    return wanted in status and b"\nState:\tZ" not in status


def _kill(process: int) -> None:
    try:
        os.kill(process, signal.SIGKILL)
    except ProcessLookupError:
        return
