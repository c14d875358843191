"""Read base..head out of git for the rules of runners/scope."""

from __future__ import annotations

import hashlib
import os
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Final

import msgspec

from bot.audit.layout import ROOT
from runners.scope import ci
from runners.scope.view import GITLINK, LINK, NONE, Document, File, View, compared
from runners.workspace.git import Git

TEXT: Final = 1 << 20  # bytes of a file that rules look into
TEXTS: Final = 48 << 20  # bytes of all of them
DOCUMENTS: Final = 100  # CI files that are read
ROUNDS: Final = 5  # includes of includes


class Row(msgspec.Struct, frozen=True):
    """One line of git's raw diff."""

    path: str
    old_mode: str
    mode: str
    old_oid: str
    oid: str


async def look(git: Git, base: str, head: str) -> View:
    """Gather what changed between two commits, evidence left out; no attribute or name of the trees has a say."""
    changed = await rows(git, base, head)
    counts = await _counts(git, base, head)
    names = [
        oid for row in changed for mode, oid in ((row.old_mode, row.old_oid), (row.mode, row.oid)) if is_blob(mode)
    ]
    room = TEXTS
    files = []
    async with aclosing(git.objects(names)) as contents:
        for row in changed:
            old, new = await _next(contents, row.old_mode), await _next(contents, row.mode)
            room -= len(old) + len(new)
            files.append(_file(row, old, new, counts.get(row.path, 0), is_room=room > 0))
    documents = [document for commit in (base, head) for document in await _documents(git, commit)]
    return View(tuple(files), tuple(documents))


def _file(row: Row, old: bytes, new: bytes, lines: int, *, is_room: bool) -> File:
    before, after = (_text(content) if is_room else None for content in (old, new))
    content = row.oid.encode() if row.mode == GITLINK else new
    plain = File(
        path=_spelled(row.path),
        old_mode=row.old_mode,
        mode=row.mode,
        old=before or "",
        new=after or "",
        sha256="" if row.mode == NONE else hashlib.sha256(content).hexdigest(),
        old_sha256=hashlib.sha256(old).hexdigest() if is_blob(row.old_mode) else "",
        lines=lines,
        is_readable=after is not None,
    )
    return plain if row.mode == LINK else compared(plain)


def _text(content: bytes) -> str | None:
    if len(content) > TEXT or b"\0" in content:
        return None
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        return None


async def rows(git: Git, base: str, head: str) -> list[Row]:
    """List what differs between two commits or trees, evidence left out."""
    options = ("--no-renames", "--no-ext-diff", "--no-textconv", "--ignore-submodules=none", base, head)
    raw = await git.run("diff-tree", "-r", "-z", "--raw", "--no-abbrev", *options)
    fields = [os.fsdecode(field) for field in raw.split(b"\0")[:-1]]
    found = []
    for meta, path in zip(fields[::2], fields[1::2], strict=True):
        old_mode, mode, old_oid, oid, _ = meta[1:].split()
        if not path.startswith(f"{ROOT}/"):
            found.append(Row(path, old_mode, mode, old_oid, oid))
    return found


async def _counts(git: Git, base: str, head: str) -> dict[str, int]:
    # An index that is not there: git would read .gitattributes from it, and `-diff` would hide a change.
    env = {"GIT_INDEX_FILE": str(git.git_dir / "no-index")}
    options = ("--no-renames", "--no-ext-diff", "--no-textconv", base, head)
    found: dict[str, int] = {}
    for line in (await git.run("diff-tree", "-r", "-z", "--numstat", *options, env=env)).split(b"\0")[:-1]:
        added, deleted, path = line.split(b"\t", 2)
        found[os.fsdecode(path)] = 0 if added == b"-" else int(added) + int(deleted)
    return found


async def _documents(git: Git, commit: str) -> list[Document]:
    """Read what CI reads: its own files, and what these name, a few rounds deep."""
    listing = (await git.run("ls-tree", "-r", "-z", commit)).split(b"\0")[:-1]
    split = [line.split(b"\t", 1) for line in listing]
    blobs = {os.fsdecode(path): meta.split()[2].decode() for meta, path in split if meta.startswith(b"100")}
    found: dict[str, str] = {}
    wanted = ci.first(blobs)
    for _ in range(ROUNDS):
        wanted = [path for path in wanted if path not in found][: DOCUMENTS - len(found)]
        if not wanted:
            break
        texts = await _read(git, [blobs[path] for path in wanted])
        found |= dict(zip(wanted, texts, strict=True))
        wanted = ci.included(texts, blobs)
    return [Document(_spelled(path), text) for path, text in found.items()]


async def _read(git: Git, oids: Sequence[str]) -> list[str]:
    async with aclosing(git.objects(oids)) as contents:
        return [content[:TEXT].decode("utf-8", "replace") async for content in contents]


async def _next(contents: AsyncGenerator[bytes, None], mode: str) -> bytes:
    return await anext(contents) if is_blob(mode) else b""


def is_blob(mode: str) -> bool:
    """Tell whether a mode stands for a content of its own: a file or a link."""
    return mode not in (NONE, GITLINK)


def _spelled(path: str) -> str:
    """Write a name that is no UTF-8 so that a record can hold it."""
    return path.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
