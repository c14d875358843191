"""SSH signatures on the bot's commits (`[worker] commit_key_file`), so that a forge can say who made them.

The signature is made over the finished commit and put into it by us: git is never told of a signing program, because
what it would run could come from a repository.
"""

from __future__ import annotations

import asyncio
import os
import stat
from pathlib import Path
from typing import Final

from bot.model.errors import GatewrightError
from runners.workspace.git import Git

NAMESPACE: Final = "git"  # what git verifies signatures of commits under
SECONDS: Final = 20.0


class CommitKey:
    """A private SSH key without a passphrase, in a file that nobody else reads."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def signed(self, git: Git, commit: str) -> str:
        """Write a commit once more with a signature in it; answer its id."""
        raw = await git.run("cat-file", "commit", commit)
        head, _, message = raw.partition(b"\n\n")
        armoured = (await self._sign(raw)).strip().replace(b"\n", b"\n ")
        whole = head + b"\ngpgsig " + armoured + b"\n\n" + message
        return await git.line("hash-object", "-t", "commit", "-w", "--stdin", input=whole)

    async def _sign(self, content: bytes) -> bytes:
        self._check()
        command = ("ssh-keygen", "-Y", "sign", "-q", "-n", NAMESPACE, "-f", str(self._path))
        env = {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"}  # no agent, no askpass
        try:
            process = await asyncio.create_subprocess_exec(
                *command, stdin=-1, stdout=-1, stderr=-1, env=env, start_new_session=True
            )
        except FileNotFoundError:
            raise _unusable(self._path, "there is no ssh-keygen", "install the OpenSSH client") from None
        try:
            out, said = await asyncio.wait_for(process.communicate(content), SECONDS)
        except TimeoutError:
            process.kill()
            await process.wait()
            raise _unusable(self._path, f"ssh-keygen did not answer in {SECONDS:g} s", "take a key file") from None
        if process.returncode != 0:
            why = said.decode(errors="replace").strip()[:200]
            raise _unusable(self._path, why, "it has to be a private SSH key without a passphrase")
        return out

    def _check(self) -> None:
        try:
            status = self._path.lstat()
        except OSError as error:
            raise _unusable(self._path, error.strerror or str(error), "name the file of the private key") from None
        if not stat.S_ISREG(status.st_mode) or status.st_mode & 0o077 or status.st_uid != os.geteuid():
            why = f"mode {stat.S_IMODE(status.st_mode):04o}, owner {status.st_uid}"
            raise _unusable(self._path, why, f"chmod 600 {self._path}, and have it owned by the worker's user")


def _unusable(path: Path, why: str, fix: str) -> GatewrightError:
    return GatewrightError("GW-COMMIT-KEY", f"commits cannot be signed with {path}", why=why, fix=fix)
