"""Start a program that may not outlive its parent: `python -I -S tether.py PARENT_PID PROGRAM [ARGUMENT ...]`.

A program of its own and not a `preexec_fn`: code between fork and exec deadlocks where the parent has threads. Linux
only; elsewhere the program starts untied.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1  # linux/prctl.h


def tie(parent: int) -> None:
    """Have the kernel send SIGTERM to this process when the thread that started it ends; survives exec."""
    if sys.platform != "linux":
        return
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0) != 0:
        raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")
    if os.getppid() != parent:  # it died before the kernel knew
        raise SystemExit(1)


if __name__ == "__main__":
    tie(int(sys.argv[1]))
    os.execv(sys.argv[2], sys.argv[2:])  # noqa: S606 - the point of this file
