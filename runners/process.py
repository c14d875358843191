"""Which processes may outlive which: parent death, slots, and what earlier runs left behind."""

from __future__ import annotations

import ctypes
import fcntl
import os
import signal
import socket
import stat
import time
from pathlib import Path
from typing import Final

from bot.model.errors import GatewrightError

PR_SET_PDEATHSIG: Final = 1  # linux/prctl.h
SLOTS: Final = 256
SWEEP_SECONDS: Final = 5.0
RUN: Final = Path("/run")
SHARED: Final = Path("/tmp/gatewright")  # noqa: S108 - whose it is gets looked at; the number of the user is added


def die_with(parent: int) -> None:
    """Have the kernel kill this process when its parent dies; exits at once if the parent is gone already."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")
    if os.getppid() != parent:
        os._exit(1)


class Hold:
    """A slot that is taken, until it is closed or the process ends, however it does."""

    def __init__(self, name: socket.socket, file: int) -> None:
        self._name = name
        self._file = file

    def close(self) -> None:
        """Give the slot back."""
        self._name.close()
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


def take_slot(first_user: int, folder: Path | None = None) -> tuple[int, Hold]:
    """Take the lowest free slot of this machine.

    Two workers must never share a slot: a slot's user is swept clean before every attempt. So it is held twice: by the
    lock of a file, which workers in other network namespaces see, and by an abstract socket, which workers with a /run
    of their own see.
    """
    folder = folder or runtime_folder()
    for slot in range(SLOTS):
        user = first_user + slot
        file = _lock(folder / f"slot-{user}")
        if file is None:
            continue
        name = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            name.bind(f"\0gatewright-slot-{user}")
        except OSError:
            name.close()
            os.close(file)
            continue
        return slot, Hold(name, file)
    raise GatewrightError(
        "GW-WORKER-SLOTS", f"all {SLOTS} worker slots of this machine are taken", fix="stop workers that are not needed"
    )


def runtime_folder() -> Path:
    """Make the folder where the workers of one user of this machine meet; nobody else may write there."""
    user = os.geteuid()
    places = (own_folder(), SHARED.with_name(f"{SHARED.name}-{user}"))
    for folder in places:
        try:
            folder.mkdir(mode=0o700, exist_ok=True)
            found = folder.lstat()
        except OSError:
            continue
        if stat.S_ISDIR(found.st_mode) and found.st_uid == user and not found.st_mode & 0o022:
            return folder
    raise GatewrightError(
        "GW-WORKER-SLOTS",
        "workers have no place for their locks",
        why=f"neither {places[0]} nor {places[1]} is a folder that only user {user} can write",
        fix=f"remove what lies at {places[1]}",
    )


def own_folder() -> Path:
    """Name the folder for locks that this user has where the machine is set up as usual."""
    user = os.geteuid()
    return RUN / "gatewright" if user == 0 else RUN / "user" / str(user) / "gatewright"


def _lock(path: Path) -> int | None:
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(file)
        return None
    return file


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
