"""What lies in a hostile worktree, read by the trusted git: candidates, strays, and the patch they make."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Final

import msgspec

from bot.model.errors import GatewrightError
from runners.workspace.copies import take
from runners.workspace.files import erase
from runners.workspace.git import Git
from runners.workspace.patch import LINK, NONE, Caps, Change, Patch, Rule, Stray, clashes, judge_name

TEXT_BYTES: Final = 400_000  # of the unified diff
TARGET_BYTES: Final = 4_096


class Survey(msgspec.Struct):
    """What a walk over the tree saw; directories are real ones, reached through no link."""

    directories: set[str]
    special: list[str]
    deep: list[str]
    fresh: set[str]  # changed in or after the second in which the index was written


class Candidates(msgspec.Struct):
    """What differs from the index: to take away, to read in, and to leave alone with a reason."""

    gone: list[str] = []
    present: list[str] = []
    strays: list[Stray] = []


async def stage(git: Git, caps: Caps) -> list[Stray]:
    """Bring the index in line with the tree, all but what may not be read; return what was left out."""
    assert git.work_tree is not None  # noqa: S101 - a worktree's git
    index = git.git_dir / "index"
    since = int(index.stat().st_mtime) if index.exists() else 0
    survey = await asyncio.to_thread(look, git.work_tree, caps.entries, since)
    await _distrust(git, survey.fresh)
    await git.call("update-index", "-q", "--refresh")
    raw = await git.run("ls-files", "-z", "-o", "-m", "-d", "--exclude-standard")
    names = dict.fromkeys(os.fsdecode(name) for name in raw.split(b"\0") if name)
    strays = [Stray(Rule.SPECIAL, path, "is no file") for path in await _unignored(git, survey.special)]
    strays += [Stray(Rule.NAME, path, "lies too deep") for path in survey.deep]
    known = {stray.path for stray in strays}
    found = _sort(git.work_tree, [name for name in names if name not in known], survey, caps)
    # Removals first: a folder may stand where a file was.
    await git.run("update-index", "--force-remove", "-z", "--stdin", input=_joined(found.gone))
    return strays + found.strays + await _add(git, found.present, caps)


def look(tree: Path, most: int, since: int) -> Survey:
    """Walk a tree without following links; raise GW-PATCH-ENTRIES where it holds too much to walk.

    Files that changed at `since` (Unix seconds) or later, whatever their own times say, are named apart.
    """
    survey = Survey({""}, [], [], set())
    todo, seen = [""], 0
    while todo:
        below = todo.pop()
        for entry in _entries(tree, below, survey):
            seen += 1
            path = f"{below}/{entry.name}" if below else entry.name
            if path == ".git":
                continue
            if entry.is_dir(follow_symlinks=False):
                survey.directories.add(path)
                todo.append(path)
            elif not entry.is_file(follow_symlinks=False) and not entry.is_symlink():
                survey.special.append(path)
            elif _changed(entry) >= since:
                survey.fresh.add(path)
        if seen > most:
            raise GatewrightError(
                "GW-PATCH-ENTRIES",
                f"the worktree holds more than {most} files",
                why="the agent or a command it ran filled it",
                fix="look at the transcript, then `revise` or `retry`",
            )
    return survey


async def _distrust(git: Git, fresh: set[str]) -> None:
    """Have git read files again whose times it would believe.

    It compares whole seconds: within one second somebody can change a file and put its times back.
    """
    if not fresh:
        return
    listing = await git.run("ls-files", "-s", "-z")
    rows = (row for row in listing.split(b"\0") if os.fsdecode(row.partition(b"\t")[2]) in fresh)
    await git.run("update-index", "-z", "--index-info", input=b"".join(row + b"\0" for row in rows))


async def _add(git: Git, names: list[str], caps: Caps) -> list[Stray]:
    """Read files in from copies of our own, so that nobody swaps a folder under git; return what could not be copied.

    Attributes that did not change are in the index, where git finds them as well.
    """
    assert git.work_tree is not None  # noqa: S101 - a worktree's git
    if not names:
        return []
    copies = git.git_dir / "copies"
    await erase(copies)  # of a worker that was killed
    lost = dict.fromkeys(await asyncio.to_thread(take, git.work_tree, names, copies, caps.file_bytes))
    kept = [name for name in names if name not in lost]
    await Git(git.git_dir, copies).run("update-index", "--add", "--replace", "-z", "--stdin", input=_joined(kept))
    await erase(copies)
    return [Stray(Rule.SPECIAL, name, "changed while it was read") for name in lost]


async def compare(git: Git, base: str, tree: str, strays: list[Stray]) -> Patch:
    """Describe what lies between two trees; `git` must be the bare one, so that attributes of the tree do not count."""
    # An index that is not there: git would read .gitattributes from it, and `-diff` would hide a change.
    env = {"GIT_INDEX_FILE": str(git.git_dir / "no-index")}
    options = ("--no-renames", "--no-ext-diff", "--no-textconv", "--ignore-submodules=none", base, tree)
    raw = await git.run("diff-tree", "-r", "-z", "--raw", "--no-abbrev", *options, env=env)
    counts = _counts(await git.run("diff-tree", "-r", "-z", "--numstat", *options, env=env))
    text = await git.call("diff-tree", "-r", "-p", "--full-index", "--no-color", *options, env=env, limit=TEXT_BYTES)
    files = await _changes(git, raw, counts)
    new = [change.path for change in files if change.status == "A"]
    twins: tuple[str, ...] = ()
    if new:
        listing = await git.run("ls-tree", "-r", "-z", "--name-only", tree)
        twins = clashes((os.fsdecode(name) for name in listing.split(b"\0") if name), new)
    return Patch(
        base=base, tree=tree, files=tuple(files), text=text.out.decode(errors="replace"),
        truncated=text.truncated, strays=tuple(strays), clashes=twins,
    )  # fmt: skip


def _entries(tree: Path, below: str, survey: Survey) -> list[os.DirEntry[str]]:
    path = tree / below
    try:
        return _listed(path)
    except PermissionError:
        path.chmod(0o700)  # ours (an ordinary worker shares the jail's user); a directory, seen without a link
        return _listed(path)
    except OSError:  # deeper than PATH_MAX
        survey.deep.append(below)
        return []


def _changed(entry: os.DirEntry[str]) -> float:
    """Tell when a file changed by the time that nobody can set; one that is gone needs no look."""
    try:
        return entry.stat(follow_symlinks=False).st_ctime
    except FileNotFoundError:
        return -1.0


def _listed(path: Path) -> list[os.DirEntry[str]]:
    with os.scandir(path) as found:
        return list(found)


def _sort(tree: Path, names: list[str], survey: Survey, caps: Caps) -> Candidates:
    found, total = Candidates(), 0
    for name in names:
        if name.endswith("/") or (name in survey.directories and os.path.lexists(tree / name / ".git")):
            found.strays.append(Stray(Rule.EMBEDDED, name.rstrip("/"), "is a repository of its own"))
        elif (size := _size(tree, name, survey)) is None:
            found.gone.append(name)
        elif wrong := judge_name(name):
            found.strays.append(Stray(wrong[0], name, wrong[1]))
        elif size > caps.file_bytes:
            found.strays.append(Stray(Rule.SIZE, name, f"has {size} bytes, {caps.file_bytes} are allowed"))
        elif total + size > caps.total_bytes:
            found.strays.append(Stray(Rule.SIZE, name, f"goes beyond {caps.total_bytes} bytes in all"))
        else:
            total += size
            found.present.append(name)
    return found


def _size(tree: Path, name: str, survey: Survey) -> int | None:
    """Measure what stands at a path, None where nothing does that could be committed."""
    if name.rpartition("/")[0] not in survey.directories or name in survey.directories:
        return None  # behind a link, or a folder in a file's place
    try:
        return (tree / name).lstat().st_size
    except FileNotFoundError:
        return None


def _joined(names: list[str]) -> bytes:
    return b"".join(os.fsencode(name) + b"\0" for name in names)


async def _unignored(git: Git, paths: list[str]) -> list[str]:
    if not paths:
        return []
    outcome = await git.call("check-ignore", "-z", "--stdin", input=_joined(paths))
    ignored = {os.fsdecode(name) for name in outcome.out.split(b"\0")}
    return [path for path in paths if path not in ignored]


def _counts(raw: bytes) -> dict[str, tuple[int | None, int | None]]:
    found: dict[str, tuple[int | None, int | None]] = {}
    for line in raw.split(b"\0")[:-1]:
        added, deleted, path = line.split(b"\t", 2)
        binary = added == b"-"
        found[os.fsdecode(path)] = (None, None) if binary else (int(added), int(deleted))
    return found


async def _changes(git: Git, raw: bytes, counts: dict[str, tuple[int | None, int | None]]) -> list[Change]:
    fields = [os.fsdecode(field) for field in raw.split(b"\0")[:-1]]
    rows = [(head[1:].split(), path) for head, path in zip(fields[::2], fields[1::2], strict=True)]
    blobs = [meta[3] for meta, _ in rows if meta[1] not in (NONE, "160000")]
    sizes = await _sizes(git, blobs)
    changes = []
    for (old_mode, mode, _, oid, status), path in rows:
        target = ""
        if mode == LINK and sizes[oid] <= TARGET_BYTES:
            target = os.fsdecode(await git.run("cat-file", "blob", oid))
        added, deleted = counts.get(path, (0, 0))
        changes.append(
            Change(
                path=path, status=status[0], old_mode=old_mode, mode=mode, size=sizes.get(oid, 0),
                added=added, deleted=deleted, target=target,
            )
        )  # fmt: skip
    return changes


async def _sizes(git: Git, oids: list[str]) -> dict[str, int]:
    if not oids:
        return {}
    listing = await git.run("cat-file", "--batch-check=%(objectname) %(objectsize)", input="\n".join(oids).encode())
    return {oid: int(size) for oid, size in (line.split() for line in listing.decode().splitlines())}
