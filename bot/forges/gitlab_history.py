"""What GitLab tells of the past: commits, trees and paths of a repository, labels and origin of an issue."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from typing import Any, Final, Literal
from urllib.parse import quote

import msgspec

from bot.forges.errors import INVALID, NOT_FOUND
from bot.forges.gitlab_notes import ISSUES
from bot.forges.gitlab_shapes import (
    GHOST,
    Account,
    BranchShape,
    CommitShape,
    IssueShape,
    NoteShape,
    clean,
    milliseconds,
    read,
)
from bot.forges.gitlab_transport import Request, Transport
from bot.forges.protocol import Comparison, LastChange
from bot.model.errors import GatewrightError
from bot.model.event import Arrival, LabelEvent, Repo

COMMIT: Final = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
MOST_PATHS: Final = 1_000  # instances cut a comparison here unless they are set otherwise
MODES: Final = {"100644": "blob", "100755": "blob", "120000": "blob", "160000": "commit", "40000": "tree"}
NO_BASE: Final = "Merge Base"
# GitLab's own account for e-mailed issues; a number follows where the name was taken. A person who is called so gets
# no rights by it, but loses that of triggering.
SUPPORT_BOT: Final = re.compile(r"support-bot[0-9]*", re.IGNORECASE)
MOVED: Final = "moved from "


class LabelName(msgspec.Struct, frozen=True):
    """A label as the history of an issue names it."""

    name: str


class LabelEventShape(msgspec.Struct, frozen=True):
    """A label was set or taken off; `label` is null where it was deleted since."""

    action: Literal["add", "remove"]
    created_at: str
    user: Account | None = None
    label: LabelName | None = None


class DiffShape(msgspec.Struct, frozen=True):
    """One path of a comparison, by its old name and its new one."""

    old_path: str
    new_path: str


class CompareShape(msgspec.Struct, frozen=True):
    """What lies between two commits; a list that was cut is called a time-out."""

    diffs: tuple[DiffShape, ...]
    compare_timeout: bool | None = None


class TreeEntry(msgspec.Struct, frozen=True):
    """One entry of a directory."""

    id: str
    name: str
    type: str
    mode: str


class History:
    """The past as one GitLab tells it."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def head(self, repo: Repo, branch: str) -> str:
        """Read the commit id a branch points to."""
        found = await self._get(f"{_repository(repo)}/branches/{quote(branch, safe='')}")
        return read(BranchShape, found, "a branch").commit.id

    async def compare(self, repo: Repo, base: str, head: str) -> Comparison:
        """Compare two commits directly, not with where they parted: every path that differs counts."""
        start, end = await self._commit(repo, base), await self._commit(repo, head)
        fork = await self._fork(repo, start, end)
        if fork is None:
            return Comparison(is_ancestor=False, is_whole=False)
        query = {"from": start, "to": end, "straight": "true"}
        seen = read(CompareShape, await self._get(f"{_repository(repo)}/compare", query), "a comparison")
        paths = sorted({clean(path) for diff in seen.diffs for path in (diff.old_path, diff.new_path)})
        is_whole = seen.compare_timeout is False and len(seen.diffs) < MOST_PATHS
        return Comparison(is_ancestor=fork == start, paths=tuple(paths), is_whole=is_whole)

    async def tree(self, repo: Repo, commit: str) -> str:
        """Compute the id of a commit's tree, which GitLab does not tell, from the entries of its root directory."""
        path, query = f"{_repository(repo)}/tree", {"ref": commit}
        found = [entry async for page in self._transport.pages(path, query) for entry in page]
        return tree_id(read(tuple[TreeEntry, ...], found, "a directory"))

    async def last_change(self, repo: Repo, path: str, ref: str) -> LastChange | None:
        """Find the commit; GitLab names only addresses, which anybody can write into a commit, so nobody's account."""
        end = await self._commit(repo, ref)
        query = {"path": path, "ref_name": end, "per_page": 1}
        found = read(tuple[CommitShape, ...], await self._get(f"{_repository(repo)}/commits", query), "commits")
        return LastChange(found[0].id) if found else None

    async def label_events(self, repo: Repo, number: int) -> tuple[LabelEvent, ...]:
        """Read the whole history; accounts are of unknown kind, and deleted labels, which have no name, are left out.

        Somebody's token acts in their name without a word, so that none is ever called an app's.
        """
        path = f"/projects/{repo.id}/{ISSUES}/{number}/resource_label_events"
        found = [entry async for page in self._transport.pages(path) for entry in page]
        seen = read(tuple[LabelEventShape, ...], found, "the history of labels")
        events = (_label_event(each, each.label.name) for each in seen if each.label is not None)
        return tuple(sorted(events, key=lambda event: event.at_ms))

    async def arrival(self, repo: Repo, issue: IssueShape) -> Arrival:
        """Tell how an issue came here; a move is told by nothing but GitLab's own note of it.

        What was copied by hand, or by a program with somebody's token, cannot be told from what they wrote.
        """
        if issue.imported or (issue.imported_from or "none") != "none":
            return Arrival.IMPORTED
        author = issue.author.username if issue.author else ""
        if issue.service_desk_reply_to or SUPPORT_BOT.fullmatch(author):
            return Arrival.SERVICE_DESK
        path = f"/projects/{repo.id}/{ISSUES}/{issue.iid}/notes"
        query = {"activity_filter": "only_activity", "order_by": "created_at", "sort": "asc"}
        async for page in self._transport.pages(path, query):
            if any(_tells_of_a_move(note) for note in read(tuple[NoteShape, ...], page, "notes")):
                return Arrival.MOVED
        return Arrival.OPENED

    async def _commit(self, repo: Repo, rev: str) -> str:
        return rev if COMMIT.fullmatch(rev) else await self.head(repo, rev)

    async def _fork(self, repo: Repo, one: str, other: str) -> str | None:
        """Find where two histories parted, None where they never were one."""
        try:
            found = await self._get(f"{_repository(repo)}/merge_base", {"refs[]": [one, other]})
        except GatewrightError as error:
            if error.code == NOT_FOUND and NO_BASE in error.why:
                return None
            raise
        return read(CommitShape, found, "a commit").id

    async def _get(self, path: str, query: dict[str, Any] | None = None) -> Any:
        return await self._transport.send(Request("GET", path, query or {}))


def tree_id(entries: Iterable[TreeEntry]) -> str:
    """Hash a directory as git does, with the hash that its entries' ids are of; raise where it cannot be whole."""
    rows: dict[bytes, bytes] = {}
    widths = set()
    for entry in entries:
        name, mode = _name(entry), entry.mode.lstrip("0")
        if MODES.get(mode) != entry.type or not COMMIT.fullmatch(entry.id) or name in rows:
            raise _no_tree(f"the entry {entry.name!r} is none of git's")
        rows[name] = b"%b %b\0" % (mode.encode(), name) + bytes.fromhex(entry.id)
        widths.add(len(entry.id))
    if len(widths) != 1:
        raise _no_tree("it is empty, or its ids are of two kinds")
    modes = {name: row.startswith(b"40000 ") for name, row in rows.items()}
    body = b"".join(rows[name] for name in sorted(rows, key=lambda name: name + b"/" * modes[name]))
    made = hashlib.sha1(usedforsecurity=False) if widths == {40} else hashlib.sha256()
    made.update(b"tree %d\0" % len(body) + body)
    return made.hexdigest()


def _name(entry: TreeEntry) -> bytes:
    try:
        name = entry.name.encode()
    except UnicodeEncodeError as error:
        raise _no_tree("a name is no text") from error
    if not name or {"/", "\0", "\ufffd"} & set(entry.name):  # GitLab writes U+FFFD where a name is not UTF-8
        raise _no_tree(f"the name {entry.name!r} is not as git has it")
    return name


def _no_tree(why: str) -> GatewrightError:
    fix = "names of files in the root directory have to be UTF-8"
    return GatewrightError(INVALID, "a commit's tree cannot be named from what GitLab tells", why=why, fix=fix)


def _label_event(seen: LabelEventShape, label: str) -> LabelEvent:
    actor = seen.user.actor() if seen.user else GHOST
    at_ms = milliseconds(seen.created_at, 0)
    return LabelEvent(label=clean(label), actor=actor, at_ms=at_ms, is_set=seen.action == "add")


def _tells_of_a_move(note: NoteShape) -> bool:
    return bool(note.system) and (note.body or "").lstrip("_* ").lower().startswith(MOVED)


def _repository(repo: Repo) -> str:
    return f"/projects/{repo.id}/repository"
