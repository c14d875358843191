"""A repository on disk as a forge: for trying out, for `gatewright run`, and for CI.

Issues, comments and changes live in one JSON file below the data directory; branches live in the repository itself.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from pathlib import Path
from typing import Final

import msgspec
from msgspec.structs import replace

from bot.forges import local_git as git
from bot.forges.local_git import said
from bot.forges.protocol import Change, Comparison, GitAccess, Home, LastChange, Membership, Protection, StatusState
from bot.model.errors import GatewrightError, UsageError
from bot.model.event import AccountKind, Actor, Comment, ForgeKind, Issue, LabelEvent, Repo
from bot.model.manners import Manners
from bot.model.role import Role

HOST: Final = "localhost"
BOT: Final = Actor(1, "gatewright", AccountKind.BOT)
YOU: Final = Actor(2, "you", AccountKind.HUMAN)
MOST_COMMENTS: Final = 1_000


class Store(msgspec.Struct):
    """Everything the local forge remembers about one repository."""

    issues: dict[int, Issue] = {}
    labels: dict[int, list[LabelEvent]] = {}
    comments: dict[int, tuple[int, Comment]] = {}  # id -> (issue or change, comment)
    reactions: list[tuple[int, str]] = []
    changes: dict[int, Change] = {}
    bodies: dict[int, str] = {}  # change -> description
    statuses: list[tuple[str, str, str, str]] = []
    last_id: int = 0


def local_repo(path: Path) -> Repo:
    """Name a repository on disk; its number (48 bits) is derived from its real path."""
    real = str(path.resolve())
    number = int.from_bytes(hashlib.sha256(real.encode()).digest()[:6], "big")
    return Repo(ForgeKind.LOCAL, HOST, number, real)


class Place(msgspec.Struct, frozen=True):
    """A repository on disk, the branch that is checked out there, and its commit."""

    repo: Repo
    branch: str
    commit: str


async def survey(path: Path) -> Place:
    """Look at a repository on disk; raises UsageError saying what is missing for work to start from it."""
    if not await asyncio.to_thread(path.is_dir):
        raise UsageError("GW-LOCAL-REPO", f"there is no directory {path}", fix="name a git repository with --repo")
    code, root = await said(path, "rev-parse", "--show-toplevel", trusted="*")
    if code:
        code, root = await said(path, "rev-parse", "--absolute-git-dir", trusted="*")  # bare, perhaps
    if code:
        raise UsageError(
            "GW-LOCAL-REPO", f"{path} is not a git repository", why=root,
            fix=f"git -C {path} init, commit what there is, and try again",
        )  # fmt: skip
    top = Path(root)
    code, branch = await said(top, "symbolic-ref", "--short", "HEAD", trusted=root)
    if code:
        raise UsageError(
            "GW-LOCAL-DETACHED", f"no branch is checked out in {top}", why="HEAD is detached: a commit is checked out",
            fix=f"git -C {top} switch BRANCH, the one that work shall start from",
        )  # fmt: skip
    code, commit = await said(top, "rev-parse", "--verify", f"refs/heads/{branch}^{{commit}}", trusted=root)
    if code:
        raise UsageError(
            "GW-LOCAL-EMPTY", f"the branch {branch} of {top} has no commit yet", why="work starts from a commit",
            fix=f"git -C {top} add -A && git -C {top} commit -m 'Begin'",
        )  # fmt: skip
    return Place(local_repo(top), branch, commit)


class LocalForge:
    """Implement bot.forges.protocol.Forge over files; everybody at this machine has the role `admin`."""

    manners: Final = Manners()

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)

    def learn(self, repo: Repo, installation: int) -> None:
        """Know no installations."""

    async def me(self) -> Actor:
        """Name the bot."""
        return BOT

    async def home(self, repo: Repo) -> Home:
        """Read which branch is checked out: work starts from there."""
        branch = await self.read(repo, "symbolic-ref", "--short", "HEAD")
        return Home(repo, branch.decode().strip(), repo.path, owner=YOU.id)

    async def head(self, repo: Repo, branch: str) -> str:
        """Read the commit of a branch; an empty repository has none."""
        return (await self.read(repo, "rev-parse", "--verify", f"refs/heads/{branch}^{{commit}}")).decode().strip()

    async def compare(self, repo: Repo, base: str, head: str) -> Comparison:
        """Compare two commits or branches."""
        old, new = await git.resolve(repo.path, base), await git.resolve(repo.path, head)
        paths, is_whole = await git.paths_between(repo.path, old, new)
        return Comparison(await git.is_ancestor(repo.path, old, new), paths, is_whole)

    async def tree(self, repo: Repo, commit: str) -> str:
        """Name the git tree of a commit."""
        return await git.tree(repo.path, commit)

    async def last_change(self, repo: Repo, path: str, ref: str) -> LastChange | None:
        """Find the commit that last touched a file; who made it is anybody's word, so nobody is named."""
        commit = await git.last_touched(repo.path, path, ref)
        return LastChange(commit) if commit else None

    async def file(self, repo: Repo, path: str, commit: str) -> bytes | None:
        """Read a file at a commit."""
        listed = await self.read(repo, "ls-tree", "-z", commit, "--", path)
        return await self.read(repo, "cat-file", "blob", f"{commit}:{path}") if listed else None

    def add_issue(self, repo: Repo, title: str, body: str, label: str) -> Issue:
        """Write down what a person wants changed."""
        store = self._load(repo)
        number, now = _next(store), _now()
        issue = Issue(
            number, title, body, YOU, (label,), is_open=True, is_locked=False, updated_ms=now, created_ms=now
        )  # fmt: skip
        store.issues[number] = issue
        store.labels[number] = [LabelEvent(label, YOU, now, is_set=True)]
        self._save(repo, store)
        return issue

    def say(self, repo: Repo, number: int, body: str) -> Comment:
        """Write down what a person answered."""
        return self._comment(repo, number, body, YOU)

    async def issue(self, repo: Repo, number: int) -> Issue | None:
        """Read an issue."""
        return self._load(repo).issues.get(number)

    async def role(self, repo: Repo, actor: Actor) -> Role:
        """Let the person at this machine do everything, and nobody else anything."""
        return Role.ADMIN if actor.id == YOU.id else Role.NONE

    async def account(self, repo: Repo, actor: Actor) -> Actor:
        """Know the person at this machine and the bot, by their numbers; nobody else is anybody."""
        return {each.id: each for each in (BOT, YOU)}.get(actor.id, replace(actor, kind=AccountKind.UNKNOWN))

    async def lookup(self, near: Repo, path: str) -> Repo | None:
        """Find another repository on this disk by its absolute path."""
        try:
            return (await survey(Path(path))).repo if Path(path).is_absolute() else None
        except UsageError:
            return None

    async def label_events(self, repo: Repo, number: int) -> tuple[LabelEvent, ...]:
        """Read who labelled an issue: the person at this machine; empty for issues of older versions."""
        return tuple(self._load(repo).labels.get(number, ()))

    async def comments(self, repo: Repo, number: int, since_ms: int, *, on_change: bool = False) -> tuple[Comment, ...]:
        """List comments, oldest first."""
        held = sorted(self._load(repo).comments.items())
        found = [c for _, (where, c) in held if where == number and c.created_ms >= since_ms]
        return tuple(found[:MOST_COMMENTS])

    async def membership(self, repo: Repo, group: str, actor: Actor) -> Membership | None:
        """Know no groups."""
        return None

    async def comment(self, repo: Repo, number: int, body: str, *, answering: int = 0, on_change: bool = False) -> int:
        """Keep a comment of the bot's."""
        return self._comment(repo, number, body, BOT).id

    def _comment(self, repo: Repo, number: int, body: str, author: Actor) -> Comment:
        store = self._load(repo)
        store.last_id += 1
        comment = Comment(store.last_id, author, body, _now(), _now())
        store.comments[comment.id] = (number, comment)
        self._save(repo, store)
        return comment

    async def edit_comment(self, repo: Repo, number: int, comment: int, body: str) -> None:
        """Replace a comment of the bot's."""
        store = self._load(repo)
        where, old = store.comments[comment]
        store.comments[comment] = (where, replace(old, body=body, updated_ms=_now()))
        self._save(repo, store)

    async def get_comment(self, repo: Repo, number: int, comment: int) -> Comment | None:
        """Read a comment."""
        held = self._load(repo).comments.get(comment)
        return held[1] if held else None

    async def find_comment(
        self, repo: Repo, number: int, marker: str, *, answering: int = 0, on_change: bool = False
    ) -> int | None:
        """Find the bot's own comment with a marker."""
        held = self._load(repo).comments.values()
        mine = (c.id for where, c in held if where == number and c.author.id == BOT.id and marker in c.body)
        return next(mine, None)

    async def react(self, repo: Repo, number: int, comment: int, reaction: str) -> None:
        """Keep a reaction."""
        store = self._load(repo)
        if (comment, reaction) not in store.reactions:
            store.reactions.append((comment, reaction))
            self._save(repo, store)

    async def set_status(self, repo: Repo, commit: str, state: StatusState, context: str, text: str) -> None:
        """Keep a status."""
        store = self._load(repo)
        store.statuses.append((commit, state.value, context, text))
        self._save(repo, store)

    async def open_change(self, repo: Repo, *, branch: str, base: str, title: str, body: str, draft: bool) -> Change:
        """Keep a change: on disk a branch is all there is to see."""
        store = self._load(repo)
        number = _next(store)
        head = await self.head(repo, branch)
        change = Change(
            number, "", head, branch, is_open=True, is_merged=False, is_draft=draft, source=repo.id
        )  # fmt: skip
        store.changes[number], store.bodies[number] = change, body
        self._save(repo, store)
        return change

    async def find_change(self, repo: Repo, branch: str) -> Change | None:
        """Find the newest change of a branch."""
        return next((c for c in reversed(self._load(repo).changes.values()) if c.branch == branch), None)

    async def get_change(self, repo: Repo, number: int) -> Change | None:
        """Read a change; its head is where its branch stands now."""
        change = self._load(repo).changes.get(number)
        return replace(change, head=await self.head(repo, change.branch)) if change else None

    async def approves(self, repo: Repo, number: int, actor: Actor) -> bool:
        """Know no approvals but commands."""
        return False

    async def edit_change(self, repo: Repo, number: int, *, body: str) -> None:
        """Replace the description of a change."""
        store = self._load(repo)
        store.bodies[number] = body
        self._save(repo, store)

    def description(self, repo: Repo, number: int) -> str:
        """Read the description of a change, for the terminal."""
        return self._load(repo).bodies.get(number, "")

    async def close_change(self, repo: Repo, number: int) -> None:
        """Mark a change as closed."""
        store = self._load(repo)
        store.changes[number] = replace(store.changes[number], is_open=False)
        self._save(repo, store)

    async def protection(self, repo: Repo, branch: str, context: str) -> Protection:
        """Tell that nothing holds anybody: whoever has the directory may move its branches."""
        return Protection(is_enforced=False, why="a repository on disk cannot hold merges to a status")

    async def merge(self, repo: Repo, number: int, head: str) -> None:
        """Refuse: a local task ends with its branch, and what becomes of it is the person's."""
        change = self._load(repo).changes.get(number)
        raise GatewrightError(
            "GW-LOCAL-MERGE", "nothing is merged into a repository on disk",
            why="its checkout is yours, and may be at work",
            fix=f"git -C {repo.path} merge {change.branch}" if change else "merge the branch yourself",
        )  # fmt: skip

    async def release_ci(self, repo: Repo, number: int, branch: str, commit: str) -> None:
        """Refuse: no CI is held back here."""
        raise GatewrightError(
            "GW-LOCAL-CI", "a repository on disk has no CI that could be released",
            why="checks run in the jail, whatever policy says of `ci`", fix="nothing is to be done",
        )  # fmt: skip

    async def git_access(self, repo: Repo, *, write: bool) -> GitAccess | None:
        """Need no credential: the worker reads and writes the directory itself."""
        return None

    async def close(self) -> None:
        """Hold nothing open."""

    def _file(self, repo: Repo) -> Path:
        return self._directory / f"{repo.id}.json"

    def _load(self, repo: Repo) -> Store:
        file = self._file(repo)
        return msgspec.json.decode(file.read_bytes(), type=Store) if file.exists() else Store()

    def _save(self, repo: Repo, store: Store) -> None:
        file = self._file(repo)
        scratch = file.with_suffix(".tmp")
        scratch.write_bytes(msgspec.json.encode(store))
        scratch.replace(file)

    async def read(self, repo: Repo, *args: str) -> bytes:
        """Ask git about a repository; reading calls only."""
        return await git.read(repo.path, *args)


def _next(store: Store) -> int:
    """Number issues and changes in one row, so that a number names one place."""
    return len(store.issues) + len(store.changes) + 1


def _now() -> int:
    return time.time_ns() // 1_000_000
