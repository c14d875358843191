"""Directories that a hostile user writes into: made, handed over and removed without following a link."""

from __future__ import annotations

import asyncio
import os
import subprocess
from pathlib import Path

from bot.model.errors import GatewrightError


def open_root(path: Path, group: int | None = None) -> Path:
    """Make the directory above all mirrors and worktrees and close it to every other user of the machine.

    A root worker names the jails' common `group` (settings.sandbox.user): they may pass through, nobody may list.
    """
    path.mkdir(parents=True, exist_ok=True)
    if os.geteuid() == 0 and group is not None:
        os.chown(path, 0, group)
        path.chmod(0o710)
    else:
        path.chmod(0o700)
    return path


def passage(path: Path) -> Path:
    """Make a directory that can be passed through by those who got as far, and listed by nobody else; resolved."""
    path.mkdir(parents=True, exist_ok=True)
    path.chmod(0o711)
    return path.resolve()


async def give(path: Path, owner: int | None) -> None:
    """Hand a whole tree to the jail's user; None (an ordinary worker) leaves it ours."""
    if owner is not None:
        await _coreutil("chown", "-hRP", f"{owner}:{owner}", "--", str(path))
    os.chmod(path, 0o700)  # noqa: PTH101 - quick, and no reason for a thread


async def take(path: Path) -> None:
    """Make a whole tree ours, to be read by everybody who gets there and written by nobody else; nobody may use it."""
    if os.geteuid() == 0:
        await _coreutil("chown", "-hRP", "0:0", "--", str(path))  # which takes set-user-id away as well
    await _coreutil("chmod", "-R", "u+rwX,a+rX,go-w,ug-s", "--", str(path))


async def erase(path: Path) -> None:
    """Remove a tree whatever it holds: links, endless depth, directories without permissions."""
    if os.geteuid() != 0 and _is_directory(path):
        await _coreutil("chmod", "-R", "u+rwX", "--", str(path))
    await _coreutil("rm", "-rf", "--one-file-system", "--", str(path))


def erase_now(path: Path) -> None:
    """Do what `erase` does where no loop runs: in a worker that has not forked yet."""
    env = {"PATH": "/usr/local/bin:/usr/bin:/bin", "LC_ALL": "C"}
    if os.geteuid() != 0 and _is_directory(path):
        subprocess.run(["chmod", "-R", "u+rwX", "--", str(path)], env=env, check=False, capture_output=True)
    done = subprocess.run(
        ["rm", "-rf", "--one-file-system", "--", str(path)], env=env, check=False, capture_output=True
    )
    if done.returncode:
        why = done.stderr.decode(errors="replace")[-500:]
        raise GatewrightError("GW-WORKSPACE-FILES", f"rm failed below {path}", why=why)


def _is_directory(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()


async def _coreutil(*argv: str) -> None:
    process = await asyncio.create_subprocess_exec(
        *argv,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
        env={"PATH": "/usr/local/bin:/usr/bin:/bin", "LC_ALL": "C"},
        cwd="/",
    )
    _, said = await process.communicate()
    if process.returncode:
        raise GatewrightError(
            "GW-WORKSPACE-FILES", f"{argv[0]} failed below {argv[-1]}", why=said.decode(errors="replace")[-500:]
        )
