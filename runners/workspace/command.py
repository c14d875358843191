"""`gatewright sandbox run`: any command in exactly the jail that agents get."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path

from bot import settings
from bot.model.errors import UsageError
from runners.workspace.sandbox import Sandbox, probe


def run(
    directory: Path,
    argv: Sequence[str],
    *,
    table: settings.Sandbox | None = None,
    socket: Path | None = None,
    writable: bool = True,
) -> int:
    """Run a command on a directory with this terminal's input and output, and return its exit code.

    Raises GW-SANDBOX-... where the jail cannot start. A root user's directory must belong to the jail's user
    (settings.sandbox.user) if the command is to write.
    """
    table = table or settings.Sandbox()
    if not directory.is_dir():
        raise UsageError("GW-SANDBOX-DIR", f"{directory} is no directory", fix="name an existing one with --dir")
    if not argv:
        raise UsageError("GW-SANDBOX-COMMAND", "no command is given", fix="gatewright sandbox run --dir DIR -- CMD")
    if reason := probe(table):
        raise UsageError("GW-SANDBOX-START", "the sandbox cannot start", why=reason)
    place = Path(tempfile.mkdtemp(prefix="gatewright-sandbox-"))
    try:
        jail = Sandbox.create(table, directory, socket=socket, directory=place)
        code = subprocess.call([jail.wrapper(argv, env={}, writable=writable)])
    finally:
        shutil.rmtree(place)
    return code if code >= 0 else 128 - code
