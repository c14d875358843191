"""The command line around bubblewrap: no privileges, no environment, no life without the worker."""

from __future__ import annotations

import os
import shlex
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from bot import settings
from runners.workspace.options import PATH
from runners.workspace.process import MARK

NEEDED: Final = {"bwrap": "bubblewrap", "socat": "socat", "setpriv": "util-linux", "prlimit": "util-linux"}
FILES: Final = 4_096
STALE: Final = 98  # the worker died between asking for the jail and its start


def found() -> dict[str, str | None]:
    """Look where the needed programs lie; None for one that is not installed."""
    return {name: shutil.which(name, path=PATH) for name in NEEDED}


def missing() -> list[str]:
    """Name the programs that are not installed."""
    return [name for name, path in found().items() if path is None]


def packages(names: Sequence[str]) -> str:
    """Name the apt line that brings programs."""
    return f"apt install {' '.join(dict.fromkeys(NEEDED[name] for name in names))}"


def uid_of(table: settings.Sandbox, slot: int) -> int | None:
    """Name the numeric user of a slot where the worker is root; an ordinary worker has no other user than itself.

    One user per slot: process limits and the sweep of leftovers count by user.
    """
    return table.user + slot if os.geteuid() == 0 else None


def drop(uid: int | None, group: int) -> list[str]:
    """Become the jail's user for good and die with the parent; `group` lets it pass the workspace's root."""
    dropped = ["setpriv", "--pdeathsig", "KILL", "--no-new-privs"]
    if uid is not None:
        dropped += [
            "--reuid", str(uid), "--regid", str(uid), "--groups", str(group),
            "--inh-caps=-all", "--ambient-caps=-all", "--bounding-set=-all",
        ]  # fmt: skip
    return dropped


def limit(table: settings.Sandbox) -> list[str]:
    """Bound what one process may take; the number of processes is bounded inside (init.sh)."""
    return [
        "prlimit", f"--nofile={FILES}", "--core=0", f"--fsize={table.file_mb << 20}", f"--data={table.memory_mb << 20}",
    ]  # fmt: skip


def command(
    table: settings.Sandbox, uid: int | None, mark: str, jail: Sequence[str], enter: Sequence[str] = ()
) -> list[str]:
    """Put everything before `jail` (bwrap and its arguments); `enter` is what joins its group of limits.

    The second `env -i` is for dash, which exports PWD: /proc/1/environ inside would show where we work. The check of
    PPID closes the moment before the parent-death signal is set.
    """
    clean = f"env -i PATH={PATH} {MARK}={mark}"
    check = f'[ "$PPID" = {os.getpid()} ] || exit {STALE}; exec {clean} "$@"'
    return [*enter, *clean.split(), *drop(uid, table.user), *limit(table), "/bin/sh", "-c", check, "sh", *jail]


def script(argv: Sequence[str], files: Sequence[tuple[int, Path]] = ()) -> str:
    """Write a shell script that becomes `argv` plus its own arguments, with files opened as descriptors."""
    lines = ["#!/bin/bash", "cd /", *(f"exec {fd}<{shlex.quote(str(path))}" for fd, path in files)]
    return "\n".join([*lines, f'exec {shlex.join(argv)} "$@"', ""])
