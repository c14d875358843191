"""What GitHub remembers: who labelled, what was said, which commits lie where and who made them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

import msgspec

from bot.forges.errors import NOT_FOUND
from bot.forges.github_calls import Calls, too_long
from bot.forges.github_shapes import GHOST, CommentShape, Created, Label, Sha, Time, User, clean, milliseconds, read
from bot.forges.protocol import Comparison, LastChange
from bot.model.errors import GatewrightError
from bot.model.event import Arrival, Comment, LabelEvent, Repo

EVENT_PAGES: Final = 30
COMMENT_PAGES: Final = 10
LISTED: Final = 300  # files of a comparison that GitHub names at most
EVENTS: Final = "/issues/{number}/events{?per_page,page}"


class IssueEvent(msgspec.Struct, frozen=True):
    """One entry of an issue's history; most kinds are of no interest here."""

    event: str = ""
    actor: User | None = None
    label: Label | None = None
    created_at: Time | None = None
    performed_via_github_app: Created | None = None


class ChangedFile(msgspec.Struct, frozen=True):
    """A file that two commits differ in; a renamed one touches both its paths."""

    filename: str
    previous_filename: str = ""


class Compared(msgspec.Struct, frozen=True):
    """Two commits side by side; `files` are what the second has done since they parted."""

    status: str
    files: tuple[ChangedFile, ...] = ()


class Tree(msgspec.Struct, frozen=True):
    """A git tree by its id."""

    sha: Sha


class GitCommit(msgspec.Struct, frozen=True):
    """A commit as git holds it."""

    tree: Tree


class Author(msgspec.Struct, frozen=True):
    """The account that GitHub finds by a commit's address; an empty object where it finds none."""

    id: int = 0


class Commit(msgspec.Struct, frozen=True):
    """A commit as a list shows it."""

    sha: Sha
    author: Author | None = None


async def arrival(calls: Calls, repo: Repo, number: int) -> Arrival:
    """Find out whether an issue was transferred here; of imports GitHub keeps no trace."""
    seen = await _events(calls, repo, number)
    return Arrival.MOVED if any(event.event == "transferred" for event in seen) else Arrival.OPENED


async def label_events(calls: Calls, repo: Repo, number: int) -> tuple[LabelEvent, ...]:
    """Read who set and took off which labels; an entry without its time or its label is left out."""
    return tuple(
        LabelEvent(
            label=clean(event.label.name),
            actor=event.actor.actor() if event.actor else GHOST,
            at_ms=milliseconds(event.created_at, 0),
            is_set=event.event == "labeled",
            is_by_app=event.performed_via_github_app is not None,
        )
        for event in await _events(calls, repo, number)
        if event.event in {"labeled", "unlabeled"} and event.label is not None and event.created_at is not None
    )


async def _events(calls: Calls, repo: Repo, number: int) -> list[IssueEvent]:
    seen, is_whole = await calls.pages(repo, EVENTS, IssueEvent, "an issue's history", most=EVENT_PAGES, number=number)
    if not is_whole:
        raise too_long(f"the history of issue {number}")
    return seen


async def comments(calls: Calls, repo: Repo, number: int, since_ms: int) -> tuple[Comment, ...]:
    """List the comments made since; GitHub's own `since` goes by the last edit, and its times are whole seconds."""
    second = since_ms // 1000
    path = "/issues/{number}/comments{?since,per_page,page}"
    since = datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    seen, _ = await calls.pages(repo, path, CommentShape, "comments", most=COMMENT_PAGES, number=number, since=since)
    made = (shape.comment(calls.now_ms()) for shape in seen)
    return tuple(comment for comment in made if comment.created_ms >= second * 1000)


async def compare(calls: Calls, repo: Repo, base: str, head: str) -> Comparison:
    """Compare two commits; GitHub names what `head` did since they parted, so a list is whole only for an ancestor."""
    data = await calls.ask(repo, "GET", "/compare/{base}...{head}", base=base, head=head)
    found = read(Compared, data, "a comparison")
    is_ancestor = found.status in {"ahead", "identical"}
    names = (name for file in found.files for name in (file.previous_filename, file.filename) if name)
    return Comparison(is_ancestor, tuple(dict.fromkeys(names)), is_ancestor and len(found.files) < LISTED)


async def tree(calls: Calls, repo: Repo, commit: str) -> str:
    """Name the tree of a commit."""
    return read(GitCommit, await calls.ask(repo, "GET", "/git/commits/{sha}", sha=commit), "a commit").tree.sha


async def last_change(calls: Calls, repo: Repo, path: str, ref: str) -> LastChange | None:
    """Find the newest commit that touched a path; its author is whoever has the address that git was told."""
    try:
        data = await calls.ask(repo, "GET", "/commits{?path,sha,per_page}", path=path, sha=ref, per_page=1)
    except GatewrightError as error:
        if error.code != NOT_FOUND:
            raise
        return None
    found = read(tuple[Commit, ...], data, "commits")
    return LastChange(found[0].sha, found[0].author.id if found[0].author else 0) if found else None
