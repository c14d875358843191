"""The unix socket of a door: who may reach it is decided by the file system."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Final

from bot.model.errors import UsageError

PATH_MAX: Final = 107  # bytes; sun_path on Linux, its final NUL left out


def listen(path: Path, uid: int | None) -> socket.socket:
    """Listen at `path`, mode 0600 for `uid` alone, in a directory that can be passed but not listed (0711)."""
    if len(os.fsencode(path)) > PATH_MAX:
        raise UsageError(
            "GW-GATEWAY-PATH", f"The path of the gateway's socket is longer than {PATH_MAX} bytes: {path}",
            fix="set worker.work_dir to a shorter path",
        )  # fmt: skip
    path.parent.mkdir(parents=True, exist_ok=True)
    path.parent.chmod(0o711)
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        before = os.umask(0o177)  # so that the socket is never open to others, not even for a moment
        try:
            listener.bind(str(path))
        finally:
            os.umask(before)
        if uid is not None and uid != path.stat().st_uid:
            os.chown(path, uid, -1)
    except OSError:
        listener.close()
        raise
    return listener
