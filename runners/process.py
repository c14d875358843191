"""Which processes may outlive which: parent death, slots, and what earlier runs left behind."""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import time
from pathlib import Path
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
    entries = [entry for entry in Path("/proc").iterdir() if entry.name.isdecimal()]
    return [int(entry.name) for entry in entries if _is_live_process_of(entry, user)]


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


def _is_live_process_of(entry: Path, user: int) -> bool:
    try:
        lines = (entry / "status").read_text("utf-8", "replace").splitlines()
    except (FileNotFoundError, ProcessLookupError):  # gone between listing and reading
        return False
    fields = dict(line.split(":", 1) for line in lines if ":" in line)
    is_zombie = fields.get("State", "").strip().startswith("Z")
    return not is_zombie and fields.get("Uid", "").split()[:1] == [str(user)]


def _kill(process: int) -> None:
    try:
        os.kill(process, signal.SIGKILL)
    except ProcessLookupError:
        return
