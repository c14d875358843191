"""What every forge can do for us; one file beside this one per forge."""

from __future__ import annotations

from enum import StrEnum
from typing import Protocol

import msgspec

from bot.model.event import Actor, Comment, Issue, LabelEvent, Repo
from bot.model.manners import Manners
from bot.model.role import Role


class StatusState(StrEnum):
    """The states of a commit status that forges share."""

    PENDING = "pending"
    SUCCESS = "success"
    FAILURE = "failure"


class Visibility(StrEnum):
    """Who may read a repository."""

    PRIVATE = "private"
    INTERNAL = "internal"
    PUBLIC = "public"


class Home(msgspec.Struct, frozen=True):
    """Where a repository lives: its default branch and the URL (or path) that git fetches from and pushes to.

    `owner` is the numeric id of the user, organisation or group that it belongs to.
    """

    repo: Repo
    default_branch: str
    clone_url: str
    visibility: Visibility = Visibility.PRIVATE
    owner: int = 0


class Change(msgspec.Struct, frozen=True):
    """A pull or merge request."""

    number: int
    url: str
    head: str  # commit id
    branch: str
    is_open: bool
    is_merged: bool
    is_draft: bool
    source: int = 0  # repository id of the branch; 0 where the forge does not say or the fork is gone


class Comparison(msgspec.Struct, frozen=True):
    """What lies between two commits; `is_whole` is False where the forge cut the list of paths."""

    is_ancestor: bool
    paths: tuple[str, ...] = ()
    is_whole: bool = True


class Membership(msgspec.Struct, frozen=True):
    """Somebody is an active member of a group; `since_ms` is 0 where the forge does not tell."""

    since_ms: int = 0


class LastChange(msgspec.Struct, frozen=True):
    """The commit that last touched a file, and whose account made it (0: the forge knows none)."""

    commit: str
    by: int = 0


class Protection(msgspec.Struct, frozen=True):
    """Whether a forge holds merges into a branch to our status; `why` says what is missing."""

    is_enforced: bool
    why: str = ""


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

    async def lookup(self, near: Repo, path: str) -> Repo | None:
        """Find another repository of the same forge by its path, None where we cannot see it."""

    async def head(self, repo: Repo, branch: str) -> str:
        """Read the commit id a branch points to."""

    async def file(self, repo: Repo, path: str, commit: str) -> bytes | None:
        """Read one file at a commit, None where there is none."""

    async def issue(self, repo: Repo, number: int) -> Issue | None:
        """Read an issue, None where it is gone."""

    async def role(self, repo: Repo, actor: Actor) -> Role:
        """Read what an account may do; an error or an unknown account raises or answers NONE, never more."""

    async def account(self, repo: Repo, actor: Actor) -> Actor:
        """Find out of what kind an account is where its event did not say; UNKNOWN where that stays open."""

    async def label_events(self, repo: Repo, number: int) -> tuple[LabelEvent, ...]:
        """Read who set and took off which labels of an issue, oldest first; empty where the forge keeps no history."""

    async def comments(self, repo: Repo, number: int, since_ms: int, *, on_change: bool = False) -> tuple[Comment, ...]:
        """List the comments of an issue or change made at or after a time, oldest first, at most a thousand."""

    async def membership(self, repo: Repo, group: str, actor: Actor) -> Membership | None:
        """Look up an active membership; `group` is a number, or `org/team` and `group/subgroup` as code owners say."""

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

    async def compare(self, repo: Repo, base: str, head: str) -> Comparison:
        """Compare two commits or branches: is `base` an ancestor of `head`, and which paths differ."""

    async def tree(self, repo: Repo, commit: str) -> str:
        """Name the git tree of a commit; two commits with one tree hold the same files."""

    async def last_change(self, repo: Repo, path: str, ref: str) -> LastChange | None:
        """Find who last changed a file on a branch, None where it was never there."""

    async def protection(self, repo: Repo, branch: str, context: str) -> Protection:
        """Tell whether merges into a branch are held to our commit status, as the forge enforces it now."""

    async def merge(self, repo: Repo, number: int, head: str) -> None:
        """Merge a change if its head is still that commit; refused otherwise."""

    async def release_ci(self, repo: Repo, number: int, branch: str, commit: str) -> None:
        """Start the CI that our push of this commit held back."""

    async def edit_change(self, repo: Repo, number: int, *, body: str) -> None:
        """Replace the description of a change."""

    async def close_change(self, repo: Repo, number: int) -> None:
        """Close a change without merging it."""

    async def git_access(self, repo: Repo, *, write: bool) -> GitAccess | None:
        """Mint a credential for one fetch or push of one repository; None where git needs none (local)."""

    async def close(self) -> None:
        """Release connections."""
