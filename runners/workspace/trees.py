"""Trees by plumbing alone: with the bot's evidence folder, and without it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Final

from bot.model.errors import GatewrightError
from runners.workspace.git import Git, GitError
from runners.workspace.patch import judge_name

FOLDER, TASKS = ".gatewright", "tasks"
DIRECTORY = "040000"
READ_BYTES: Final = 16 << 20

Entries = dict[str, tuple[str, str]]  # name: (mode, object)


async def entries(git: Git, treeish: str) -> Entries:
    """Read one level of a tree."""
    found: Entries = {}
    for line in (await git.run("ls-tree", "-z", treeish)).split(b"\0")[:-1]:
        meta, name = line.split(b"\t", 1)
        mode, _, oid = meta.decode().split()
        found[name.decode(errors="surrogateescape")] = (mode, oid)
    return found


async def make(git: Git, content: Entries) -> str:
    """Write one level of a tree and return its id."""
    kind = {DIRECTORY: "tree", "160000": "commit"}
    lines = (f"{mode} {kind.get(mode, 'blob')} {oid}\t{name}" for name, (mode, oid) in content.items())
    raw = b"".join(line.encode(errors="surrogateescape") + b"\0" for line in lines)
    return await git.line("mktree", "-z", "--missing", input=raw)  # a submodule's commit is nowhere here


async def evidence(git: Git, treeish: str) -> str:
    """Name the tree of `.gatewright/tasks/` in a commit, empty where it has none."""
    top = await entries(git, f"{treeish}^{{tree}}")
    mode, oid = top.get(FOLDER, ("", ""))
    if mode != DIRECTORY:
        return ""
    mode, oid = (await entries(git, oid)).get(TASKS, ("", ""))
    return oid if mode == DIRECTORY else ""


async def with_evidence(git: Git, treeish: str, tasks: str) -> str:
    """Return the tree with `tasks` as its `.gatewright/tasks/`, or with none where `tasks` is empty."""
    root = await git.line("rev-parse", f"{treeish}^{{tree}}")
    if await evidence(git, root) == tasks:
        return root
    top = await entries(git, root)
    mode, oid = top.pop(FOLDER, (DIRECTORY, ""))
    if mode != DIRECTORY:
        raise GatewrightError(
            "GW-WORKSPACE-EVIDENCE",
            f"{FOLDER} is a file in this repository",
            why="the evidence of tasks is kept in a folder of that name",
            fix=f"rename the file {FOLDER} on the default branch",
        )
    inner = await entries(git, oid) if oid else {}
    inner.pop(TASKS, None)
    if tasks:
        inner[TASKS] = (DIRECTORY, tasks)
    if inner:
        top[FOLDER] = (DIRECTORY, await make(git, inner))
    return await make(git, top)


async def with_files(git: Git, base: str, files: Mapping[str, bytes], index: str) -> str:
    """Return the tree of `base` (empty: none) with files of ours in it; `index` is a scratch path."""
    env = {"GIT_INDEX_FILE": index}
    await git.run("read-tree", *([base] if base else ["--empty"]), env=env)
    lines = []
    for path, content in files.items():
        _check(path)
        oid = await git.line("hash-object", "-w", "--no-filters", "--stdin", input=content)
        lines.append(f"100644 {oid}\t{path}".encode() + b"\0")
    await git.run("update-index", "-z", "--add", "--replace", "--index-info", input=b"".join(lines), env=env)
    return await git.line("write-tree", env=env)


async def read(git: Git, commit: str, path: str) -> bytes | None:
    """Read one regular file of a commit; None where there is none (a link is none), GW-GIT-LARGE above 16 MiB."""
    if path.startswith("/") or ".." in path.split("/"):
        return None
    listing = await git.run("ls-tree", "-z", "-l", commit, "--", f":(literal){path}")
    row = listing.split(b"\0")[0].split(b"\t")
    if len(row) != 2 or row[1] != path.encode() or not row[0].startswith(b"100"):
        return None
    _, _, oid, size = row[0].decode().split()
    if int(size) > READ_BYTES:
        raise GitError("GW-GIT-LARGE", f"{path} has {size} bytes", why=f"at most {READ_BYTES} are read")
    return await git.run("cat-file", "blob", oid)


async def digests(git: Git, commit: str) -> list[tuple[bytes, str, str]]:
    """List (path, mode, sha256 of the content) of a commit; a submodule's content is its commit's id."""
    rows = []
    for line in (await git.run("ls-tree", "-r", "-z", commit)).split(b"\0")[:-1]:
        meta, path = line.split(b"\t", 1)
        mode, kind, oid = meta.decode().split()
        rows.append((path, mode, kind, oid))
    blobs = git.objects([oid for _, _, kind, oid in rows if kind == "blob"])
    found = []
    for path, mode, kind, oid in rows:
        content = await anext(blobs) if kind == "blob" else oid.encode()
        found.append((path, mode, hashlib.sha256(content).hexdigest()))
    return found


def _check(path: str) -> None:
    parts = path.split("/")
    wrong = judge_name("/".join(parts[2:])) if parts[:2] == [FOLDER, TASKS] else judge_name(path)
    if wrong or any(part in ("", ".", "..") for part in parts):
        raise GatewrightError("GW-WORKSPACE-PATH", f"{path!r} is no path for a file of the bot")
