"""Why a jail cannot start on this machine, and how to mend it."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
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


def why_not(table: settings.Sandbox) -> str | None:
    """Try a real jail and say what is missing or forbidden, with the command that mends it."""
    if absent := launch.missing():
        return f"not installed: {', '.join(absent)} ({launch.packages(absent)})"
    directory = Path(tempfile.mkdtemp(prefix="gatewright-probe-"))
    try:
        directory.chmod(0o711)
        return _try(table, directory)
    except GatewrightError as error:
        return f"{error.what}: {error.why} ({error.fix})"
    finally:
        shutil.rmtree(directory)


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
