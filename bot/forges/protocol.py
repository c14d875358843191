"""What every forge can do for us; one file beside this one per forge."""

from __future__ import annotations

from enum import StrEnum
from typing import Protocol

import msgspec

from bot.model.event import Actor, Comment, Issue, Repo
from bot.model.manners import Manners


class Role(StrEnum):
    """What an account may do in a repository, weakest first."""

    NONE = "none"
    READ = "read"
    TRIAGE = "triage"
    WRITE = "write"
    MAINTAIN = "maintain"
    ADMIN = "admin"

    def at_least(self, other: Role) -> bool:
        """Compare by strength."""
        ranks = list(Role)
        return ranks.index(self) >= ranks.index(other)


class StatusState(StrEnum):
    """The states of a commit status that forges share."""

    PENDING = "pending"
    SUCCESS = "success"
    FAILURE = "failure"


class Home(msgspec.Struct, frozen=True):
    """Where a repository lives: its default branch and the URL (or path) that git fetches from and pushes to."""

    repo: Repo
    default_branch: str
    clone_url: str


class Change(msgspec.Struct, frozen=True):
    """A pull or merge request."""

    number: int
    url: str
    head: str  # commit id
    branch: str
    is_open: bool
    is_merged: bool
    is_draft: bool


class GitAccess(msgspec.Struct, frozen=True):
    """A credential for one repository and one fetch or push; `username` is empty where git needs none."""

    username: str
    password: str
    expires_ms: int


class Forge(Protocol):
    """Read and write one forge; every call may raise GatewrightError (`GW-FORGE-...`) or Unavailable.

    Words are rendered and people's text is disarmed in bot/reports; what a forge alone would carry out, such as a
    command at a line start, its own file makes harmless at the last moment, where nothing can go around it.
    """

    @property
    def manners(self) -> Manners:
        """Say what is usual here between the forge and people."""

    def learn(self, repo: Repo, installation: int) -> None:
        """Remember the App installation through which a repository is reached; 0 means not known."""

    async def me(self) -> Actor:
        """Read the bot's own account."""

    async def home(self, repo: Repo) -> Home:
        """Read where the repository lives now; `repo.id` decides, a renamed path is followed."""

    async def head(self, repo: Repo, branch: str) -> str:
        """Read the commit id a branch points to."""

    async def file(self, repo: Repo, path: str, commit: str) -> bytes | None:
        """Read one file at a commit, None where there is none."""

    async def issue(self, repo: Repo, number: int) -> Issue | None:
        """Read an issue, None where it is gone."""

    async def role(self, repo: Repo, actor: Actor) -> Role:
        """Read what an account may do; an error or an unknown account raises or answers NONE, never more."""

    async def account(self, actor: Actor) -> Actor:
        """Find out of what kind an account is where its event did not say; UNKNOWN where that stays open."""

    async def comment(self, repo: Repo, number: int, body: str, *, answering: int = 0, on_change: bool = False) -> int:
        """Post a comment on an issue and return its id; on a change where it is for one or answers a comment there.

        A forge may number issues and changes apart from each other, so that a number alone names two places.
        """

    async def edit_comment(self, repo: Repo, number: int, comment: int, body: str) -> None:
        """Replace the body of a comment of ours."""

    async def get_comment(self, repo: Repo, number: int, comment: int) -> Comment | None:
        """Read one comment again, None where it is gone."""

    async def find_comment(
        self, repo: Repo, number: int, marker: str, *, answering: int = 0, on_change: bool = False
    ) -> int | None:
        """Find our own comment that holds a marker, where `comment` would put it; anyone can type a marker."""

    async def react(self, repo: Repo, number: int, comment: int, reaction: str) -> None:
        """Add a reaction (`eyes`, `+1`) to a comment; adding it twice is no error."""

    async def set_status(self, repo: Repo, commit: str, state: StatusState, context: str, text: str) -> None:
        """Set a commit status; `text` is cut to what the forge allows."""

    async def open_change(self, repo: Repo, *, branch: str, base: str, title: str, body: str, draft: bool) -> Change:
        """Open a pull or merge request from a branch that is already pushed."""

    async def find_change(self, repo: Repo, branch: str) -> Change | None:
        """Find the newest change of ours from a branch, open or not."""

    async def get_change(self, repo: Repo, number: int) -> Change | None:
        """Read one change."""

    async def approves(self, repo: Repo, number: int, actor: Actor) -> bool:
        """Tell whether an account's approval of a change, of which an event told, stands now."""

    async def edit_change(self, repo: Repo, number: int, *, body: str) -> None:
        """Replace the description of a change."""

    async def close_change(self, repo: Repo, number: int) -> None:
        """Close a change without merging it."""

    async def git_access(self, repo: Repo, *, write: bool) -> GitAccess | None:
        """Mint a credential for one fetch or push of one repository; None where git needs none (local)."""

    async def close(self) -> None:
        """Release connections."""
