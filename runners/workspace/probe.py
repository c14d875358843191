"""Whether a jail can start on this machine; why it cannot, and how to mend it."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from bot import settings
from bot.model.errors import GatewrightError
from runners.workspace import launch
from runners.workspace.sandbox import Sandbox

SECONDS: Final = 20
SLOT: Final = 256  # beyond those of workers, which sweep what runs as their slot's user
SWITCHES: Final = (  # file, the value that forbids, how to mend
    ("/proc/sys/kernel/unprivileged_userns_clone", "0", "sysctl -w kernel.unprivileged_userns_clone=1"),
    (
        "/proc/sys/kernel/apparmor_restrict_unprivileged_userns",
        "1",
        "sysctl -w kernel.apparmor_restrict_unprivileged_userns=0, or an AppArmor profile with `userns,` for bwrap",
    ),
    ("/proc/sys/user/max_user_namespaces", "0", "sysctl -w user.max_user_namespaces=10000"),
)
CONTAINER: Final = (
    "in a container, let it make user namespaces and mount /proc: "
    "--security-opt seccomp=unconfined --security-opt systempaths=unconfined (the jail brings a filter of its own)"
)
# Machines, as `_machine` describes them, that started a jail: in this process, or in the one that forked it.
_fit: Final[set[tuple[object, ...]]] = set()


def why_not(table: settings.Sandbox) -> str | None:
    """Try a real jail and say what is missing or forbidden, with the command that mends it."""
    if absent := launch.missing():
        return f"not installed: {', '.join(absent)} ({launch.packages(absent)})"
    try:
        with _directory() as directory:
            return _try(table, directory)
    except GatewrightError as error:
        return f"{error.what}: {error.why} ({error.fix})"


def unfit(table: settings.Sandbox) -> GatewrightError | None:
    """Try a real jail, unless one has started here since the machine last changed; give the error a task ends with."""
    machine = _machine(table)
    if machine in _fit:
        return None
    try:
        with _directory() as directory:
            said = _try(table, directory)
    except GatewrightError as error:
        return error
    if said is None:
        _fit.add(machine)
        return None
    return GatewrightError(
        "GW-SANDBOX-START", "the sandbox does not start, so no model was asked", why=said,
        fix="run `gatewright doctor` on the worker's machine, then `retry`",
    )  # fmt: skip


def explain(said: str) -> str:
    """Find the reason behind bubblewrap's words."""
    for switch, forbids, mend in SWITCHES:
        path = Path(switch)
        if path.is_file() and path.read_text().strip() == forbids:
            return f"this machine forbids user namespaces ({path.name} = {forbids}): {mend}"
    reason = said.strip().splitlines()[-1] if said.strip() else "bwrap ended without a word"
    return f"bwrap cannot make its namespaces: {reason} ({CONTAINER})"


def _try(table: settings.Sandbox, directory: Path) -> str | None:
    tree = directory / "tree"
    tree.mkdir(mode=0o700)
    if (uid := launch.uid_of(table, SLOT)) is not None:
        shutil.chown(tree, uid, uid)
    jail = Sandbox.create(table, tree, directory=directory / "jail", slot=SLOT)
    try:
        ended = subprocess.run(
            [jail.wrapper(["/bin/sh", "-c", ":"], env={})],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"bwrap did not start a program within {SECONDS} s"
    finally:
        jail.end()
    return explain(ended.stderr + ended.stdout) if ended.returncode else None


@contextmanager
def _directory() -> Iterator[Path]:
    directory = Path(tempfile.mkdtemp(prefix="gatewright-probe-"))
    try:
        directory.chmod(0o711)
        yield directory
    finally:
        shutil.rmtree(directory)


def _machine(table: settings.Sandbox) -> tuple[object, ...]:
    """Describe what a start depends on, in microseconds: the settings, the programs, the kernel's switches."""
    programs = [(path, Path(path).stat().st_mtime_ns) if path else None for path in launch.found().values()]
    switches = [path.read_text() if (path := Path(switch)).is_file() else "" for switch, _, _ in SWITCHES]
    return table, os.geteuid(), *programs, *switches
