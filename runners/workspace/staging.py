"""What lies in a hostile worktree, read by the trusted git: candidates, strays, and the patch they make."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Final

import msgspec

from runners.workspace.copies import take
from runners.workspace.files import erase
from runners.workspace.git import Git, failure
from runners.workspace.patch import LINK, NONE, Caps, Change, Patch, Rule, Stray, clashes, judge_name
from runners.workspace.shown import Shown
from runners.workspace.survey import Survey, look

TEXT_BYTES: Final = 400_000  # of the unified diff
TARGET_BYTES: Final = 4_096
READ_IN: Final = ("update-index", "--add", "--replace", "-z", "--stdin")
UNSAID: Final = ("unspecified", "unset")  # attributes that say nothing
UNREADABLE: Final = "is not in the encoding that `working-tree-encoding` in .gitattributes says"
MOST_ODD: Final = 8  # files in a wrong encoding that are looked for: one is enough to refuse the change


class Candidates(msgspec.Struct):
    """What differs from the index: to take away, to read in, and to leave alone with a reason."""

    gone: list[str] = []
    present: list[str] = []
    strays: list[Stray] = []


async def stage(git: Git, caps: Caps, shown: Shown = Shown()) -> list[Stray]:  # noqa: B008 - frozen
    """Bring the index in line with the tree, all but what may not be read; return what was left out.

    What the tree only shows stays in the index as the commit has it.
    """
    assert git.work_tree is not None  # noqa: S101 - a worktree's git
    index = git.git_dir / "index"
    since = int(index.stat().st_mtime) if index.exists() else 0
    survey = await asyncio.to_thread(look, git.work_tree, caps.entries, since)
    await _distrust(git, survey.fresh)
    await shown.link(git, survey.directories)
    await git.call("update-index", "-q", "--refresh")
    raw = await git.run("ls-files", "-z", "-o", "-m", "-d", "--exclude-standard")
    names = dict.fromkeys(os.fsdecode(name) for name in raw.split(b"\0") if name)
    strays = [Stray(Rule.SPECIAL, path, "is no file") for path in await _unignored(git, survey.special)]
    strays += [Stray(Rule.NAME, path, "lies too deep") for path in survey.deep]
    content, changed = await shown.sort(git.work_tree, names)
    strays += changed
    known = {stray.path for stray in strays} | {pointer.path for pointer in content}
    found = _sort(git.work_tree, [name for name in names if name not in known], survey, caps)
    # Removals first: a folder may stand where a file was.
    await git.run("update-index", "--force-remove", "-z", "--stdin", input=_joined(found.gone))
    await shown.point(git, content)
    return strays + found.strays + await _add(git, found.present, caps)


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
    odd = await _read_in(Git(git.git_dir, copies), kept)
    await erase(copies)
    strays = [Stray(Rule.SPECIAL, name, "changed while it was read") for name in lost]
    return strays + [Stray(Rule.ENCODING, name, UNREADABLE) for name in odd]


async def _read_in(git: Git, names: list[str]) -> list[str]:
    """Put files into the index; name some that are not in the encoding that their attributes say.

    Git gives up at the first of them and keeps nothing, so each half is tried again, until there are enough to name.
    """
    outcome = await git.call(*READ_IN, input=_joined(names))
    if not outcome.code:
        return []
    raw = await git.run("check-attr", "-z", "--stdin", "working-tree-encoding", input=_joined(names))
    fields = [os.fsdecode(field) for field in raw.split(b"\0")[:-1]]
    doubtful = [name for name, said in zip(fields[::3], fields[2::3], strict=True) if said not in UNSAID]
    if not doubtful:
        raise failure(READ_IN, outcome)
    sure = set(names) - set(doubtful)
    await git.run(*READ_IN, input=_joined([name for name in names if name in sure]))
    odd: list[str] = []
    todo = [doubtful]
    while todo and len(odd) < MOST_ODD:
        batch = todo.pop()
        if (await git.call(*READ_IN, input=_joined(batch))).code == 0:
            continue
        half = len(batch) // 2
        if half:
            todo += [batch[half:], batch[:half]]
        else:
            odd += batch
    return odd


async def compare(git: Git, base: str, tree: str, strays: list[Stray], *, without: str = "") -> Patch:
    """Describe what lies between two trees, save `without` one folder; `git` must be the bare one.

    Attributes of the tree do not count there.
    """
    # An index that is not there: git would read .gitattributes from it, and `-diff` would hide a change.
    env = {"GIT_INDEX_FILE": str(git.git_dir / "no-index")}
    options: tuple[str, ...] = ("--no-renames", "--no-ext-diff", "--no-textconv", "--ignore-submodules=none")
    options += (base, tree, "--", ".", f":(exclude,top,literal){without}") if without else (base, tree)
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
