"""What goes between a worktree's git directory and the forge: one ref in, one commit out, never forced."""

from __future__ import annotations

import re
from typing import Final

from bot.model.errors import GatewrightError
from runners.workspace.git import Git, GitError
from runners.workspace.remote import Remote

REFSPEC: Final = re.compile(r"^[0-9a-f]{40,64}:refs/[^\s:~^?*\[\\]+$")
NO_OPTIONS: Final = "does not support push options"  # git's words, said before anything is sent


async def fetch(git: Git, remote: Remote, ref: str, name: str) -> str:
    """Fetch what a ref holds at the remote as `name` and return it, empty where it does not exist there."""
    listing = await remote.run(git, "ls-remote", "--", remote.url, ref)
    tip = next((line.split("\t")[0] for line in listing.decode().splitlines() if line.endswith(f"\t{ref}")), "")
    if not tip:
        await git.run("update-ref", "-d", name)
    elif (await git.call("cat-file", "-e", f"{tip}^{{commit}}")).code == 0:
        await git.run("update-ref", name, tip)
    else:
        options = ("--quiet", "--no-tags", "--no-write-fetch-head", "--no-recurse-submodules")
        await remote.run(git, "fetch", *options, "--", remote.url, f"+{ref}:{name}")
        tip = await git.line("rev-parse", name)
    return tip


async def push(git: Git, remote: Remote, refspec: str, *options: str) -> None:
    """Push `commit:refs/...` as a plain fast-forward; options are left out for a remote that takes none."""
    if not REFSPEC.match(refspec):
        raise GitError("GW-GIT-REFSPEC", f"{refspec!r} is not `commit:refs/...`", why="nothing is ever forced")
    plain = ("push", "--porcelain", "--no-verify", "--no-signed")
    try:
        await remote.run(git, *plain, *(f"--push-option={each}" for each in options), "--", remote.url, refspec)
    except GatewrightError as error:
        if not options or NO_OPTIONS not in (error.why or ""):
            raise
        await remote.run(git, *plain, "--", remote.url, refspec)
