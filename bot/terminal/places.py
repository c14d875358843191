"""Folders of one command: where agents work, and the throw-away ones."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import Final

from bot.model.errors import UsageError
from bot.settings import Settings
from bot.settings_file import make_dir, open_work_dir

LOCAL: Final = "local-runs"  # below the data directory: tasks of `run`, apart from those of a server
SHARED: Final = Path("/var/lib/gatewright-local")  # passed through by the jail's user, listed by nobody


def work_dir(settings: Settings) -> dict[str, str]:
    """Choose where worktrees of local tasks lie, as settings."""
    return open_work_dir(settings, SHARED)


def scratch(prefix: str) -> Path:
    """Make a throw-away folder that the jail's user can pass through."""
    folder = Path(tempfile.mkdtemp(prefix=prefix))
    folder.chmod(0o711)
    return folder


def kept(path: Path) -> Path:
    """Make the folder that `--keep` names; raises UsageError where there is something already."""
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise UsageError(
            "GW-DEMO-KEEP", f"{path} is there already and not empty" if path.is_dir() else f"{path} is no directory",
            why="nothing of yours is overwritten", fix="name a directory that does not exist yet",
        )  # fmt: skip
    return make_dir(path).resolve()


def remove(folder: Path) -> str:
    """Remove a throw-away folder, closed directories included; return why not, where something resists."""
    try:
        for at, names, _ in os.walk(folder):
            for name in names:
                path = Path(at, name)
                if not path.is_symlink() and not os.access(path, os.R_OK | os.W_OK | os.X_OK):
                    path.chmod(0o700)
        shutil.rmtree(folder)
    except OSError as error:
        return str(error)
    return ""
