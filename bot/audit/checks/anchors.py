"""Level 3: do commits and the texts on the forge name the same journal?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from bot.audit import folder as folders
from bot.audit import kinds, layout
from bot.audit.checks.history import LONGEST
from bot.audit.checks.work import WORKING
from bot.audit.matter import Matter
from bot.audit.note import Checkpoint
from bot.audit.objects import Commit, ObjectAltered, ObjectMissing, Objects
from bot.audit.sheet import Entry, Severity, Sheet
from bot.audit.trees import Trees

CHECK: Final = "anchors"
TASK: Final = "Gatewright-Task"
CHECKPOINT: Final = "Audit-Checkpoint"
BRANCHES: Final = ("refs/heads/gatewright/{}-*", "refs/remotes/*/gatewright/{}-*")


def check(matter: Matter, objects: Objects | None, tips: Sequence[str], sheet: Sheet) -> bool:
    """Tell whether level 3 is reached; `tips` are the commits that the evidence was read from."""
    if matter.task_key is None:
        return False
    _texts(matter, sheet)
    if objects is None:
        sheet.doubt("that commits carry these checkpoints: there is no git repository here")
    else:
        _commits(matter, objects, tips, sheet)
    return not sheet.failed(CHECK)


def path_to_base(objects: Objects, tip: str, base: str) -> Iterator[Commit]:
    """Walk first parents from a commit to before the base, or as far as this repository goes."""
    at = tip
    for _ in range(LONGEST):
        if not at or at == base:
            return
        commit = objects.commit(at)
        yield commit
        at = commit.parents[0] if commit.parents else ""


def base_of(entries: Sequence[Entry]) -> str:
    """Name the base commit in force at the end."""
    based = (kinds.TaskOpened, kinds.BaseMoved)
    return next((e.data.base_commit for e in reversed(entries) if isinstance(e.data, based)), "")


def _texts(matter: Matter, sheet: Sheet) -> None:
    """Hold what records say that people were shown, and said, to the journal before them."""
    said = [(entry, entry.data) for entry in matter.entries]
    named = [(entry, data.size, data.root) for entry, data in said
             if isinstance(data, kinds.Anchor | kinds.ApprovalRequested) and data.root]  # fmt: skip
    roots = matter.roots(size for entry, size, _ in named if size <= entry.seq)
    for entry, size, root in named:
        want = Checkpoint(matter.origin, size, roots[size]).trailer.rpartition(" ")[2] if size in roots else ""
        if size > entry.seq or root != want:
            what = f"names another journal of {size} records"
            sheet.find(CHECK, what, entry, expected=want or f"at most {entry.seq} records", found=root)
    approvals = [data for _, data in said if isinstance(data, kinds.Approval)]
    typed = sum(data.method == "digest" for data in approvals)
    if typed:
        sheet.hold(CHECK, f"{typed} of {len(approvals)} approvals name the digest in the approver's own words")
    if typed < len(approvals):
        sheet.doubt(f"that {len(approvals) - typed} approvers meant this text: they said yes without naming its digest")


def _commits(matter: Matter, objects: Objects, tips: Sequence[str], sheet: Sheet) -> None:
    if objects.is_shallow or objects.is_grafted:
        why = "shallow" if objects.is_shallow else "grafted"
        sheet.find(CHECK, f"this repository is {why}: its history cannot be judged", severity=Severity.INCOMPLETE)
        return
    try:
        commits = _ours(matter, objects, tips)
        carried = sum(_trailer(matter, commit, sheet) for commit in commits.values())
        _prefixes(matter, objects, list(commits.values()), sheet)
        _protected(matter, objects, sheet)
        _foreign(matter, objects, sheet)
    except ObjectAltered as error:
        sheet.find(CHECK, error.what, found=error.why)
        return
    except ObjectMissing as error:
        sheet.find(CHECK, error.what, severity=Severity.INCOMPLETE, found=error.why)
        return
    if not commits:
        sheet.doubt("that commits carry these checkpoints: none of the task's commits is here")
    elif not sheet.failed(CHECK):
        sheet.hold(CHECK, f"{carried} of {len(commits)} commits of the task name the journal as it stood then")


def _ours(matter: Matter, objects: Objects, tips: Sequence[str]) -> dict[str, Commit]:
    """Gather the bot's commits: those that records name and git has, and those on the way to where we read."""
    found: dict[str, Commit] = {}
    for entry in matter.entries:
        if isinstance(entry.data, kinds.CommitMade):
            try:
                found[entry.data.commit] = objects.commit(entry.data.commit)
            except ObjectMissing:
                continue  # history says so
    for tip in tips:
        for commit in path_to_base(objects, tip, base_of(matter.entries)):
            if matter.folder.task in commit.trailers(TASK):
                found[commit.oid] = commit
            elif commit.oid not in found:
                break  # a merge, or the default branch: not ours to follow
    return found


def _trailer(matter: Matter, commit: Commit, sheet: Sheet) -> bool:
    """Compare one commit's trailer with our own root."""
    short = commit.oid[:12]
    values = commit.trailers(CHECKPOINT)
    if not values:
        sheet.find(CHECK, f"{short} names no checkpoint of the journal", severity=Severity.INCOMPLETE, found=commit.oid)
        return False
    for value in values:
        number = value.split(" ")[1] if value.count(" ") == 2 else ""
        size = int(number) if number.isascii() and number.isdigit() and len(number) < 16 else 0
        root = matter.roots([size]).get(size) if size else None
        if size > matter.size:
            what = f"{short} names {size} records, and {matter.size} are here: the end was cut off"
            sheet.find(CHECK, what, matter.entries[-1], expected=value, found=f"{matter.size} records")
        elif root is None or value != Checkpoint(matter.origin, size, root).trailer:
            want = Checkpoint(matter.origin, size, root).trailer if root else f"{matter.origin} ..."
            entry = matter.entries[size - 1] if root else None
            sheet.find(CHECK, f"{short} names another journal", entry, expected=value, found=want)
    return True


def _prefixes(matter: Matter, objects: Objects, commits: Sequence[Commit], sheet: Sheet) -> None:
    """Hold the journal in each commit to ours, and to that of its parent: it only ever gets longer."""
    lengths: dict[str, int] = {}

    def length(oid: str) -> int:
        """Count the records that a commit holds; -1 where they are not the first of ours."""
        if oid not in lengths:
            here = [line.content for line in folders.from_commit(objects, oid, matter.folder.task).lines()]
            ours = [entry.line.content for entry in matter.entries[: len(here)]]
            lengths[oid] = len(here) if here == ours else -1
        return lengths[oid]

    for commit in commits:
        if length(commit.oid) < 0:
            sheet.find(CHECK, f"{commit.oid[:12]} holds another journal than the one judged", found=commit.oid)
            continue
        for parent in commit.parents[:1]:
            if length(parent) > length(commit.oid):
                what = f"{commit.oid[:12]} holds {length(commit.oid)} records, and its parent {length(parent)}"
                sheet.find(CHECK, what, found=commit.oid)


def _protected(matter: Matter, objects: Objects, sheet: Sheet) -> None:
    """Find commits of agents that touch evidence: only control's own commits may."""
    steps = {e.data.attempt: e.data.step for e in matter.entries if isinstance(e.data, kinds.AttemptStarted)}
    for entry in matter.entries:
        data = entry.data
        if isinstance(data, kinds.CommitMade) and steps.get(data.attempt) in WORKING:
            try:
                here, there = (objects.find(oid, layout.ROOT.encode()) for oid in (data.commit, data.parent))
            except ObjectMissing:
                continue  # history says so
            if here != there:
                sheet.find(CHECK, f"{data.commit[:12]} is an agent's work and changes evidence", entry)


def _foreign(matter: Matter, objects: Objects, sheet: Sheet) -> None:
    """Find commits on the bot's branch that no record accounts for; what changes evidence alone is control's."""
    naming = (kinds.CommitMade, kinds.CommitForeign, kinds.Pushed, kinds.AttemptEnded)
    named = {entry.data.commit for entry in matter.entries if isinstance(entry.data, naming)}
    trees = Trees(objects)
    heads = objects.refs(*(pattern.format(matter.folder.task) for pattern in BRANCHES))
    for ref, head in heads.items():
        for commit in path_to_base(objects, head, base_of(matter.entries)):
            if commit.oid in named:
                break
            if not commit.parents or trees.source(commit.oid) != trees.source(commit.parents[0]):
                what = f"{commit.oid[:12]} on {ref} is in no record: it is not the bot's, and nobody judged it"
                sheet.find("foreign", what, severity=Severity.INCOMPLETE, found=commit.oid)
