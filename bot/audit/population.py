"""Is every change of the bot on a branch accounted for? Commits, evidence and the log, held to each other."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Final

import msgspec

from bot.audit import entries as logged
from bot.audit import layout, place
from bot.audit.chain import genesis
from bot.audit.checks import chain
from bot.audit.checks.anchors import TASK
from bot.audit.delegation import Delegation
from bot.audit.folder import TASK as TASK_ID
from bot.audit.kinds import CommitForeign, CommitMade, Pushed, TaskOpened
from bot.audit.note import Note, NoteError
from bot.audit.objects import Commit, ObjectAltered, ObjectMissing, Objects, git_dir_of
from bot.audit.place import Found, NoEvidence
from bot.audit.sheet import Count, Entry, Gap, Severity, Sheet, Verdict
from bot.audit.trees import Trees
from bot.audit.trust import Trust
from bot.audit.verify import Terms, judge
from bot.model.errors import UsageError

LONGEST: Final = 2_000_000  # commits of one history
_DAY: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_ACCOUNT: Final = re.compile(r"<([0-9]{1,20})[+-][^>]*>")  # as forges spell addresses that are nobody's
_SECONDS: Final = re.compile(r"> ([0-9]{1,12}) [+-][0-9]{4}\Z")


class Claim(msgspec.Struct, frozen=True):
    """A commit of the bot on the branch, and the tasks that it says it is of."""

    commit: Commit
    tasks: tuple[str, ...]


def count(
    path: Path, since: str | None, by: Terms, *, task: str | None = None, rev: str | None = None
) -> tuple[tuple[Verdict, ...], Count]:
    """Look at every commit of a branch (default: HEAD); raise UsageError without a repository or such a revision."""
    git_dir = git_dir_of(path)
    if git_dir is None:
        raise UsageError("GW-AUDIT-ALL", f"{path} is no git repository", why="--all looks at the commits of a branch")
    with Objects(git_dir) as objects:
        tip = objects.resolve(rev or "HEAD")
        if tip is None:
            raise UsageError("GW-AUDIT-REV", f"there is no commit {rev or 'HEAD'!a} in {path}", fix="see git branch -a")
        gaps: list[Gap] = []
        if objects.is_shallow or objects.is_grafted:
            gaps.append(Gap(Severity.INCOMPLETE, "this repository is shallow or grafted: older commits are not here"))
        try:
            looked, claims = _claims(objects, tip, since, by.trust)
        except ObjectAltered as error:
            raise NoEvidence(error.code, error.what, why=error.why, fix=error.fix) from error
    claims = [claim for claim in claims if task is None or not claim.tasks or task in claim.tasks]
    with place.everything(path, task, rev) as found:
        verdicts = tuple(judge(one, by) for one in found)
        gaps += _unaccounted(claims, found, {one.task: one for one in verdicts})
        gaps += _unseen(found, by) if task is None else []
    return verdicts, Count(tip, since or "", looked, len(claims), tuple(gaps))


def _claims(objects: Objects, tip: str, since: str | None, trust: Trust | None) -> tuple[int, list[Claim]]:
    """Walk the whole history: how many commits, and those that have to do with tasks."""
    after, known = _since(objects, since)
    numbers = {bot.rpartition(":")[2] for bot in (trust.bots if trust else ())}
    trunk = {commit.oid for commit in _walk(objects, tip, set(), first_only=True)}
    looked, claims = 0, []
    for commit in _walk(objects, tip, known):
        if _seconds(commit) < after:
            continue
        looked += 1
        tasks = [name for name in commit.trailers(TASK) if TASK_ID.fullmatch(name)]
        if len(commit.parents) < 2 or commit.oid in trunk:
            tasks += touched(objects, commit)
        account = _ACCOUNT.search(commit.author)
        is_bots = account is not None and account[1] in numbers
        if tasks or is_bots:
            claims.append(Claim(commit, tuple(dict.fromkeys(tasks))))
    return looked, claims


def _since(objects: Objects, since: str | None) -> tuple[int, set[str]]:
    """Read a day (commits by their own clock) or a revision (what it does not hold)."""
    if not since:
        return 0, set()
    if _DAY.fullmatch(since):
        try:
            day = date.fromisoformat(since)
        except ValueError:
            raise UsageError("GW-AUDIT-SINCE", f"{since} is no day", fix="write it as 2026-01-31") from None
        return int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()), set()
    start = objects.resolve(since)
    if start is None:
        raise UsageError("GW-AUDIT-SINCE", f"{since[:80]!a} is neither a day nor a revision", fix="write 2026-01-31")
    return 0, {commit.oid for commit in _walk(objects, start, set())}


def _walk(objects: Objects, tip: str, known: set[str], *, first_only: bool = False) -> Iterator[Commit]:
    """Walk back from a commit, each once; what a shallow clone lacks is left out."""
    seen, waiting = set(known), [tip]
    while waiting and len(seen) < LONGEST:
        oid = waiting.pop()
        if oid in seen:
            continue
        seen.add(oid)
        try:
            commit = objects.commit(oid)
        except ObjectMissing:
            continue
        yield commit
        waiting += commit.parents[:1] if first_only else commit.parents


def touched(objects: Objects, commit: Commit) -> list[str]:
    """Name the tasks whose folder a commit changes, beside its first parent."""
    here, there = (_folders(objects, oid) for oid in (commit.oid, *(commit.parents[:1] or ("",))))
    return sorted(name for name in {*here, *there} if here.get(name) != there.get(name))


def _folders(objects: Objects, commit: str) -> dict[str, str]:
    try:
        top = objects.find(commit, layout.ROOT.encode()) if commit else None
        listing = list(objects.tree(top.oid)) if top is not None and top.is_tree else []
    except ObjectMissing:
        return {}
    names = {entry.path.decode("utf-8", errors="replace"): entry.oid for entry in listing}
    return {name: oid for name, oid in names.items() if TASK_ID.fullmatch(name)}


def _unaccounted(claims: Sequence[Claim], found: Sequence[Found], verdicts: Mapping[str, Verdict]) -> Iterator[Gap]:
    """Name commits that do not belong to exactly one sealed task."""
    entries = {one.folder.task: chain.read((one.fuller or one).folder, Sheet()) for one in found}
    objects = next((one.objects for one in found if one.objects is not None), None)
    unsealed: set[str] = set()
    for claim in claims:
        oid, short = claim.commit.oid, claim.commit.oid[:12]
        if not claim.tasks:
            yield Gap(Severity.INCOMPLETE, f"{short} is by the bot and names no task", commit=oid)
        elif len(claim.tasks) > 1:
            yield Gap(
                Severity.TAMPERED, f"{short} is of {len(claim.tasks)} tasks: {', '.join(claim.tasks)}", commit=oid
            )
        for task in claim.tasks:
            verdict = verdicts.get(task)
            if verdict is None:
                yield Gap(Severity.INCOMPLETE, f"{short} is of task {task}, of which no evidence is here", task, oid)
            elif verdict.state != "sealed" and task not in unsealed:
                unsealed.add(task)
                yield Gap(
                    Severity.INCOMPLETE, f"{short} is of task {task}, which is {verdict.state}, not sealed", task, oid
                )
            elif (
                objects is not None
                and task in claim.commit.trailers(TASK)
                and not _is_known(claim, entries[task], objects)
            ):
                yield Gap(
                    Severity.TAMPERED, f"{short} says it is of task {task}, whose records do not know it", task, oid
                )


def _is_known(claim: Claim, entries: Sequence[Entry], objects: Objects) -> bool:
    """Tell whether records name a commit, or it holds exactly what they sealed, or evidence and nothing else."""
    named = {entry.data.commit for entry in entries if isinstance(entry.data, CommitMade | CommitForeign | Pushed)}
    if claim.commit.oid in named or len(claim.commit.parents) != 1:
        return True  # what a merge holds is compared with the seal
    try:
        trees = Trees(objects)
        source = trees.source(claim.commit.oid)
        sealed = {getattr(entry.data, "source_sha256", "") for entry in entries}
        return source in sealed or source == trees.source(claim.commit.parents[0])
    except ObjectMissing:
        return False


def _unseen(found: Sequence[Found], by: Terms) -> Iterator[Gap]:
    """Name tasks that the instance's log opened for this repository, and of which nothing is here."""
    if by.log is None or by.trust is None:
        return
    repos: set[str] = set()
    for one in found:
        opened = next((entry.data for entry in chain.read(one.folder, Sheet())[:1]), None)
        repos |= {opened.repo} if isinstance(opened, TaskOpened) else set()
    here = {one.folder.task for one in found}
    for entry in by.log.entries:
        if not isinstance(entry, logged.TaskOpened) or entry.task in here:
            continue
        try:
            said = Delegation.parse(Note.parse(entry.delegation.encode()).text)
        except NoteError:
            continue  # the log's own checks say so
        if not repos or said.genesis in {genesis(by.trust.instance, repo, entry.task) for repo in repos}:
            what = f"the log opened task {entry.task} in this repository, and no evidence of it is here"
            yield Gap(Severity.INCOMPLETE, what, entry.task)


def _seconds(commit: Commit) -> int:
    found = _SECONDS.search(commit.author)
    return int(found[1]) if found else 0
