"""Find evidence: in a work tree, commit, branch, audit ref or bare repository, or in a folder that was copied out."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec

from bot.audit import folder as folders
from bot.audit import layout
from bot.audit.folder import Folder
from bot.audit.objects import ObjectAltered, ObjectMissing, Objects, git_dir_of
from bot.audit.sheet import Severity, Sheet
from bot.model.errors import GatewrightError, UsageError

AUDIT_REF: Final = "refs/gatewright/audit/"
AUDIT_REFS: Final = (AUDIT_REF, "refs/heads/gatewright-audit/", "refs/remotes/*/gatewright-audit/")


class NoEvidence(GatewrightError):
    """A path that holds no evidence, or none that can be read (exit 4)."""


class Found(msgspec.Struct, frozen=True):
    """One task's evidence and where it was read; `sheet` holds what reading it already showed."""

    folder: Folder
    source: str
    sheet: Sheet
    objects: Objects | None = None
    tip: str = ""  # the commit it was read from, or that is checked out
    fuller: Found | None = None  # a copy on an audit ref that goes on from this one


@contextlib.contextmanager
def evidence(path: Path, task: str | None, rev: str | None) -> Iterator[list[Found]]:
    """Open what lies at a path, one item a task; raise NoEvidence or UsageError where there is none."""
    if task is not None and not folders.TASK.fullmatch(task):
        raise UsageError("GW-AUDIT-TASK", f"not a task id: {task[:80]!a}", fix="a task id looks like 42-k7f3qd")
    if not path.is_dir():
        raise NoEvidence(
            "GW-AUDIT-PATH", f"{path} is no directory", fix="name a checkout, a bare repository or a folder"
        )
    git_dir = git_dir_of(path)
    if git_dir is None:
        if rev is not None:
            raise UsageError("GW-AUDIT-REV", f"{path} is no git repository, so it has no revision {rev!a}")
        yield _some(list(_plain(path, task)), path, task)
        return
    with Objects(git_dir) as objects:
        yield _some(list(_repository(path, objects, task, rev)), path, task)


@contextlib.contextmanager
def everything(path: Path, task: str | None, rev: str | None) -> Iterator[list[Found]]:
    """Open what lies in a repository, tasks that only an audit ref holds among it; there may be nothing."""
    git_dir = git_dir_of(path)
    if git_dir is None:
        raise UsageError("GW-AUDIT-REV", f"{path} is no git repository")
    with Objects(git_dir) as objects:
        commit = objects.resolve(rev) if rev is not None else None
        if rev is not None and commit is not None:
            names = [name for name in _tasks(objects, commit) if task in (None, name)]
            found = [_at(objects, rev, commit, name, is_fullest=True) for name in names]
        else:
            found = list(_repository(path, objects, task, rev))
        here = {one.folder.task for one in found}
        for ref, commit in _audit_refs(objects, task).items():
            name = ref.rpartition("/")[2]
            if name not in here:
                here.add(name)
                found += _commit(objects, ref, commit, name)
        yield found


def _some(found: list[Found], path: Path, task: str | None) -> list[Found]:
    if not found:
        raise NoEvidence(
            "GW-AUDIT-NONE",
            f"no evidence{f' of task {task}' if task else ''} at {path}",
            why=f"neither {layout.ROOT}/ nor an audit ref is there",
            fix="name the branch with --rev, or run: git fetch origin '+refs/gatewright/*:refs/gatewright/*'",
        )
    return found


def _plain(path: Path, task: str | None) -> Iterator[Found]:
    """Read a directory without git: a checkout that was copied out, or one task's own folder."""
    if (path / "audit").is_dir():
        yield Found(folders.from_directory(path, task or path.resolve().name), "folder", Sheet())
        return
    for name in folders.tasks_in_directory(path):
        if task in (None, name):
            yield Found(folders.from_directory(path / layout.folder(name), name), "directory", Sheet())
    for name in folders.tasks_in_bundle(path):
        if task in (None, name):
            yield Found(folders.from_directory(path / "tasks" / name, name), "bundle", Sheet())


def _repository(path: Path, objects: Objects, task: str | None, rev: str | None) -> Iterator[Found]:
    if rev is not None:
        commit = objects.resolve(rev)
        if commit is None:
            raise UsageError("GW-AUDIT-REV", f"there is no commit {rev!a} in {path}", fix="see git branch -a, or fetch")
        yield from _commit(objects, rev, commit, task)
        return
    head = objects.resolve("HEAD") or ""
    is_checkout = objects.git_dir != path
    names = {*_tasks(objects, head), *(folders.tasks_in_directory(path) if is_checkout else ())}
    wanted = sorted(name for name in names if task in (None, name))
    for name in wanted:
        yield _work_tree(path, objects, head, name) if is_checkout else _at(objects, "HEAD", head, name)
    if not wanted:  # nothing was merged here yet: what was pushed after the last gate is on the audit ref
        for ref, commit in _audit_refs(objects, task).items():
            yield from _commit(objects, ref, commit, ref.rpartition("/")[2])


def _commit(objects: Objects, rev: str, commit: str, task: str | None) -> Iterator[Found]:
    for name in _tasks(objects, commit):
        if task in (None, name):
            yield _at(objects, rev, commit, name)


def _tasks(objects: Objects, commit: str) -> list[str]:
    try:
        return folders.tasks_in_commit(objects, commit) if commit else []
    except (ObjectMissing, ObjectAltered) as error:
        raise NoEvidence(error.code, error.what, why=error.why, fix=error.fix) from error


def _at(objects: Objects, rev: str, commit: str, task: str, *, is_fullest: bool = False) -> Found:
    sheet = Sheet()
    folder = _committed(objects, commit, task, sheet)
    longer = _prefix(objects, folder, sheet, own=commit)
    found = Found(folder, f"{rev} ({commit[:12]})", sheet, objects, commit)
    return _with(found, longer) if rev == "HEAD" or is_fullest else found


def _work_tree(path: Path, objects: Objects, head: str, task: str) -> Found:
    """Read the bytes of the work tree, and hold them against the commit that is checked out."""
    sheet = Sheet()
    folder = folders.from_directory(path / layout.folder(task), task)
    committed = _committed(objects, head, task, sheet) if head else Folder(task, {})
    _same(folder, committed, head, sheet)
    longer = _prefix(objects, folder, sheet)
    return _with(Found(folder, "work tree", sheet, objects, head), longer)


def _with(found: Found, longer: tuple[str, str] | None) -> Found:
    """Read the longer copy too, where an audit ref holds one."""
    if longer is None or found.objects is None:
        return found
    ref, commit = longer
    sheet = Sheet()
    folder = _committed(found.objects, commit, found.folder.task, sheet)
    records = sum(1 for _ in found.folder.lines())
    source = f"{ref} ({commit[:12]}), which goes on from the {records} records of the {found.source}"
    return msgspec.structs.replace(found, fuller=Found(folder, source, sheet, found.objects, commit))


def _committed(objects: Objects, commit: str, task: str, sheet: Sheet) -> Folder:
    try:
        return folders.from_commit(objects, commit, task)
    except ObjectAltered as error:
        sheet.find("objects", error.what, found=error.why)
    except ObjectMissing as error:
        sheet.find("objects", error.what, severity=Severity.INCOMPLETE, found=error.why)
    return Folder(task, {})


def _same(folder: Folder, committed: Folder, head: str, sheet: Sheet) -> None:
    """Name files that differ from the commit: in the last record nothing else would show a change."""
    if not committed.files:
        sheet.doubt("that this evidence was committed: HEAD does not hold it")
        return
    names = sorted({*folder.files, *committed.files})
    differing = [name for name in names if folder.files.get(name) != committed.files.get(name)]
    for name in differing:
        here, there = folder.files.get(name), committed.files.get(name)
        what = "is not in the commit" if there is None else "is gone" if here is None else "is not as it was committed"
        sheet.find("copy", f"{what} ({head[:12]})", file=folder.path(name), line=_first_difference(here, there))
    if not differing:
        sheet.hold("copy", f"the work tree is as committed in {head[:12]}")


def _first_difference(here: bytes | None, there: bytes | None) -> int:
    """Count to the first line that differs; 0 where one side is missing."""
    if here is None or there is None:
        return 0
    pairs = zip(here.split(b"\n"), there.split(b"\n"), strict=False)
    return next((number for number, (mine, theirs) in enumerate(pairs, 1) if mine != theirs), 1)


def _prefix(objects: Objects, folder: Folder, sheet: Sheet, own: str = "") -> tuple[str, str] | None:
    """Compare with every copy of the journal on an audit ref; name the longest that goes on from here.

    One of the two has to begin with the other.
    """
    longest, found = len(list(folder.lines())), None
    mine = [line.content for line in folder.lines()]
    for ref, commit in _audit_refs(objects, folder.task).items():
        if commit == own:
            continue
        try:
            theirs = [line.content for line in folders.from_commit(objects, commit, folder.task).lines()]
        except (ObjectMissing, ObjectAltered) as error:
            sheet.doubt(f"that {ref} agrees: {error.what}")
            continue
        common = min(len(mine), len(theirs))
        if mine[:common] != theirs[:common]:
            fork = next(n for n, (a, b) in enumerate(zip(mine, theirs, strict=False)) if a != b)
            sheet.find("audit ref", f"{ref} holds another journal from record {fork} on")
        elif len(theirs) > len(mine):
            sheet.hold("audit ref", f"goes on from here to {len(theirs)} records; see --rev {ref}")
            if mine and len(theirs) > longest:
                longest, found = len(theirs), (ref, commit)
        else:
            sheet.hold("audit ref", f"holds the first {len(theirs)} of these records")
    return found


def _audit_refs(objects: Objects, task: str | None) -> dict[str, str]:
    """List audit refs and branches with the commits they name, of one task or of all."""
    found = objects.refs(*(f"{prefix}{task or '*'}" for prefix in AUDIT_REFS))
    return {ref: commit for ref in found if (commit := objects.resolve(ref))}
