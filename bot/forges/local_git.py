"""Git on a repository of a person: read without running anything that the repository or their settings name."""

from __future__ import annotations

import asyncio
import os
import re
from pathlib import Path
from typing import Final

from bot.model.errors import GatewrightError

# Reading a person's repository must not run what its configuration names.
GIT: Final = ("git", "-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null", "--no-replace-objects")
COMMIT: Final = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
MOST_PATHS: Final = 3_000  # of one comparison


async def call(path: Path, *args: str, trusted: str) -> tuple[int, bytes, bytes]:
    """Run git in a directory; `trusted` is whose ownership is not asked for. Returns code, output, complaints."""
    # A list of its own: no helper, no configuration of the person's, no repository named by the environment.
    env = {"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "LC_ALL": "C", "GIT_TERMINAL_PROMPT": "0"}
    env |= {"GIT_LITERAL_PATHSPECS": "1"} if args[0] == "log" else {}
    try:
        process = await asyncio.create_subprocess_exec(
            *GIT, "-c", f"safe.directory={trusted}", "-C", str(path), *args,
            stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, env=env,
        )  # fmt: skip
    except FileNotFoundError:
        raise GatewrightError("GW-GIT-MISSING", "git is not installed", fix="apt-get install git") from None
    out, problem = await process.communicate()
    return process.returncode or 0, out, problem


async def said(path: Path, *args: str, trusted: str) -> tuple[int, str]:
    """Run git for a short answer: what it printed, or what it complained of."""
    code, out, problem = await call(path, *args, trusted=trusted)
    return code, (problem if code else out).decode("utf-8", "replace").strip()[:300]


async def read(place: str, *args: str) -> bytes:
    """Ask git about a repository; reading calls only. Raises GW-LOCAL-GIT with its reason."""
    code, out, problem = await call(Path(place), *args, trusted=place)
    if code:
        raise GatewrightError(
            "GW-LOCAL-GIT",
            f"{place} does not answer as a git repository with a commit on a branch",
            why=problem.decode("utf-8", "replace").strip()[:300],
            fix="name a repository with at least one commit and a branch checked out",
        )
    return out


async def resolve(place: str, name: str) -> str:
    """Find the commit of a branch, or a commit that is there; nothing else is a name here."""
    if COMMIT.fullmatch(name):
        return (await read(place, "rev-parse", "--verify", f"{name}^{{commit}}")).decode().strip()
    return (await read(place, "show-ref", "--verify", "--hash", "--", f"refs/heads/{name}")).decode().strip()


async def tree(place: str, commit: str) -> str:
    """Name the tree of a commit."""
    return (await read(place, "rev-parse", "--verify", f"{await resolve(place, commit)}^{{tree}}")).decode().strip()


async def is_ancestor(place: str, old: str, new: str) -> bool:
    """Tell whether one commit leads to another."""
    code, _, problem = await call(Path(place), "merge-base", "--is-ancestor", old, new, trusted=place)
    if code not in (0, 1):
        why = problem.decode("utf-8", "replace").strip()[:300]
        raise GatewrightError("GW-LOCAL-GIT", f"{place} cannot compare two commits", why=why, fix="git fsck --full")
    return code == 0


async def paths_between(place: str, old: str, new: str) -> tuple[tuple[str, ...], bool]:
    """List the paths that differ between two commits, and tell whether these are all."""
    listed = await read(place, "diff-tree", "-r", "-z", "--name-only", "--no-renames", old, new)
    paths = tuple(path.decode("utf-8", "surrogateescape") for path in listed.split(b"\0") if path)
    return paths[:MOST_PATHS], len(paths) <= MOST_PATHS


async def last_touched(place: str, path: str, ref: str) -> str:
    """Find the newest commit on a branch or before a commit that changed a path; empty where none did."""
    tip = await resolve(place, ref)
    return (await read(place, "log", "-1", "--format=%H", tip, "--", path)).decode().strip()
