"""A repository on disk as a forge: for trying out, for `gatewright run`, and for CI.

Issues, comments and changes live in one JSON file below the data directory; branches live in the repository itself.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import time
from pathlib import Path
from typing import Final

import msgspec
from msgspec.structs import replace

from bot.forges.protocol import Change, GitAccess, Home, Role, StatusState
from bot.model.errors import GatewrightError, UsageError
from bot.model.event import AccountKind, Actor, Comment, ForgeKind, Issue, Repo
from bot.model.manners import Manners

HOST: Final = "localhost"
BOT: Final = Actor(1, "gatewright", AccountKind.BOT)
YOU: Final = Actor(2, "you", AccountKind.HUMAN)
# Reading a person's repository must not run what its configuration names.
GIT: Final = ("git", "-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null", "--no-replace-objects")


class Store(msgspec.Struct):
    """Everything the local forge remembers about one repository."""

    issues: dict[int, Issue] = {}
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
    code, root = await _git(path, "rev-parse", "--show-toplevel", trusted="*")
    if code:
        code, root = await _git(path, "rev-parse", "--absolute-git-dir", trusted="*")  # bare, perhaps
    if code:
        raise UsageError(
            "GW-LOCAL-REPO", f"{path} is not a git repository", why=root,
            fix=f"git -C {path} init, commit what there is, and try again",
        )  # fmt: skip
    top = Path(root)
    code, branch = await _git(top, "symbolic-ref", "--short", "HEAD", trusted=root)
    if code:
        raise UsageError(
            "GW-LOCAL-DETACHED", f"no branch is checked out in {top}", why="HEAD is detached: a commit is checked out",
            fix=f"git -C {top} switch BRANCH, the one that work shall start from",
        )  # fmt: skip
    code, commit = await _git(top, "rev-parse", "--verify", f"refs/heads/{branch}^{{commit}}", trusted=root)
    if code:
        raise UsageError(
            "GW-LOCAL-EMPTY", f"the branch {branch} of {top} has no commit yet", why="work starts from a commit",
            fix=f"git -C {top} add -A && git -C {top} commit -m 'Begin'",
        )  # fmt: skip
    return Place(local_repo(top), branch, commit)


async def _git(path: Path, *args: str, trusted: str) -> tuple[int, str]:
    code, out, problem = await _call(path, *args, trusted=trusted)
    return code, (problem if code else out).decode("utf-8", "replace").strip()[:300]


async def _call(path: Path, *args: str, trusted: str) -> tuple[int, bytes, bytes]:
    # A list of its own: no helper, no configuration of the person's, no repository named by the environment.
    env = {"PATH": os.environ.get("PATH", "/usr/bin:/bin"), "LC_ALL": "C", "GIT_TERMINAL_PROMPT": "0"}
    try:
        process = await asyncio.create_subprocess_exec(
            *GIT, "-c", f"safe.directory={trusted}", "-C", str(path), *args,
            stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, env=env,
        )  # fmt: skip
    except FileNotFoundError:
        raise GatewrightError("GW-GIT-MISSING", "git is not installed", fix="apt-get install git") from None
    out, problem = await process.communicate()
    return process.returncode or 0, out, problem


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
        return Home(repo, branch.decode().strip(), repo.path)

    async def head(self, repo: Repo, branch: str) -> str:
        """Read the commit of a branch; an empty repository has none."""
        return (await self.read(repo, "rev-parse", "--verify", f"refs/heads/{branch}^{{commit}}")).decode().strip()

    async def file(self, repo: Repo, path: str, commit: str) -> bytes | None:
        """Read a file at a commit."""
        listed = await self.read(repo, "ls-tree", "-z", commit, "--", path)
        return await self.read(repo, "cat-file", "blob", f"{commit}:{path}") if listed else None

    def add_issue(self, repo: Repo, title: str, body: str, label: str) -> Issue:
        """Write down what a person wants changed."""
        store = self._load(repo)
        number = _next(store)
        issue = Issue(number, title, body, YOU, (label,), is_open=True, is_locked=False, updated_ms=_now())
        store.issues[number] = issue
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

    async def account(self, actor: Actor) -> Actor:
        """Know everybody there is."""
        return actor

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
        change = Change(number, "", head, branch, is_open=True, is_merged=False, is_draft=draft)
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
        code, out, problem = await _call(Path(repo.path), *args, trusted=repo.path)
        if code:
            raise GatewrightError(
                "GW-LOCAL-GIT",
                f"{repo.path} does not answer as a git repository with a commit on a branch",
                why=problem.decode("utf-8", "replace").strip()[:300],
                fix="name a repository with at least one commit and a branch checked out",
            )
        return out


def _next(store: Store) -> int:
    """Number issues and changes in one row, so that a number names one place."""
    return len(store.issues) + len(store.changes) + 1


def _now() -> int:
    return time.time_ns() // 1_000_000
