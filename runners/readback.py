"""Read evidence back from the forge into an empty repository: what is there, and not what was sent."""

from __future__ import annotations

import hashlib
import tempfile
from pathlib import Path
from typing import Final

from bot.audit.layout import SEGMENT, folder
from bot.forges.protocol import GitAccess
from bot.model.errors import GatewrightError
from runners.workspace import exchange
from runners.workspace.files import erase
from runners.workspace.git import Git
from runners.workspace.remote import Remote

HERE: Final = "refs/gatewright/readback"


async def read_back(scratch: Path, url: str, access: GitAccess | None, ref: str, task: str) -> tuple[str, str]:
    """Fetch a ref anew; answer with its commit and the SHA-256 of the task's journal there, all segments in a row.

    Raise GW-DEPOSIT-GONE where the forge has no such ref.
    """
    place = Path(tempfile.mkdtemp(prefix="readback-", dir=scratch))
    try:
        git = Git(place)
        await git.run("init", "--quiet", "--bare", "--template=")
        commit = await exchange.fetch(git, Remote(url, access), ref, HERE)
        if not commit:
            raise GatewrightError(
                "GW-DEPOSIT-GONE", f"the forge does not have {ref} after it was pushed", fix="`doctor`"
            )
        return commit, await _journal(git, commit, task)
    finally:
        await erase(place)


async def _journal(git: Git, commit: str, task: str) -> str:
    top = f"{folder(task)}/"
    names = (
        (await git.run("ls-tree", "-r", "-z", "--name-only", commit, "--", top)).decode("utf-8", "replace").split("\0")
    )
    segments = sorted(name for name in names if SEGMENT.fullmatch(name.removeprefix(top)))
    found = hashlib.sha256()
    contents = git.objects([f"{commit}:{name}" for name in segments])
    async for content in contents:
        found.update(content)
    return found.hexdigest()
