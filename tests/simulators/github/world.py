"""What the simulated GitHub knows: accounts, repositories, issues, tokens."""

from __future__ import annotations

import itertools
import secrets
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from tests.simulators.github.rights import Dispatch, Entry, Guard, Ruleset, Team

ROLES: Final = ("none", "read", "triage", "write", "maintain", "admin")
# `permission` of the collaborator API knows four words; finer roles show as what they are based on.
BASE: Final = {"triage": "read", "maintain": "write"}
APP_PERMISSIONS: Final = {
    "administration": "read",
    "checks": "write",
    "contents": "write",
    "issues": "write",
    "members": "read",
    "metadata": "read",
    "pull_requests": "write",
    "statuses": "write",
}


@dataclass(eq=False)
class User:
    """An account; `type` is User, Bot or Organization."""

    id: int
    login: str
    type: str = "User"

    @property
    def address(self) -> str:
        """Write the e-mail address by which commits are known as theirs."""
        return f"{self.id}@users.noreply.example.com"


@dataclass(eq=False)
class Comment:
    """A comment on an issue or pull request."""

    id: int
    issue: Issue
    user: User | None
    body: str
    created: datetime
    updated: datetime
    reactions: list[Reaction] = field(default_factory=list)


@dataclass(eq=False)
class Reaction:
    """One account's reaction."""

    id: int
    user: User
    content: str
    created: datetime


@dataclass(eq=False)
class Label:
    """A label of a repository; names are unique without regard to case."""

    id: int
    name: str
    color: str = "ededed"
    description: str | None = None


@dataclass(eq=False)
class Review:
    """A submitted review; `state` as the API writes it: APPROVED, CHANGES_REQUESTED, COMMENTED."""

    id: int
    user: User
    state: str
    body: str
    commit: str
    submitted: datetime


@dataclass(eq=False)
class Pull:
    """What makes an issue a pull request."""

    head: str  # branch
    base: str
    sha: str
    base_sha: str
    draft: bool
    merged: datetime | None = None
    merged_by: User | None = None
    merge_sha: str | None = None
    reviews: list[Review] = field(default_factory=list)
    fork: Repository | None = None  # where the head is, if not here


@dataclass(eq=False)
class Issue:
    """An issue; with `pull` it is a pull request of the same number."""

    id: int
    number: int
    title: str
    body: str | None
    user: User | None
    created: datetime
    updated: datetime
    state: str = "open"
    closed: datetime | None = None
    locked: bool = False
    lock_reason: str | None = None
    labels: list[Label] = field(default_factory=list)
    comments: list[Comment] = field(default_factory=list)
    reactions: list[Reaction] = field(default_factory=list)
    pull: Pull | None = None
    history: list[Entry] = field(default_factory=list)


@dataclass(eq=False)
class Status:
    """A commit status."""

    id: int
    sha: str
    state: str
    context: str
    description: str | None
    target_url: str | None
    creator: User
    created: datetime


@dataclass(eq=False)
class CheckRun:
    """A check run, which only an App can make."""

    id: int
    sha: str
    fields: dict[str, Any]
    created: datetime


@dataclass(eq=False)
class Hook:
    """Where deliveries go: the App's hook or one of a repository."""

    id: int
    url: str
    secret: str
    events: tuple[str, ...] = ("*",)
    content_type: str = "json"
    target_type: str = "integration"
    target_id: int = 0


@dataclass(eq=False)
class Repository:
    """A repository with its bare git directory and its collaborators' roles."""

    id: int
    owner: User
    name: str
    git: Path
    created: datetime
    private: bool = True
    internal: bool = False  # private, and open to everybody in the enterprise
    default_branch: str = "main"
    roles: dict[int, str] = field(default_factory=dict)
    custom_roles: dict[int, str] = field(default_factory=dict)  # an organisation's own names, by account
    labels: list[Label] = field(default_factory=list)
    issues: dict[int, Issue] = field(default_factory=dict)
    statuses: list[Status] = field(default_factory=list)
    checks: dict[int, CheckRun] = field(default_factory=dict)
    hooks: list[Hook] = field(default_factory=list)
    gone: dict[int, tuple[Repository, int] | None] = field(default_factory=dict)  # deleted, or where it went
    guards: dict[str, Guard] = field(default_factory=dict)  # by branch
    rulesets: list[Ruleset] = field(default_factory=list)
    dispatches: list[Dispatch] = field(default_factory=list)

    @property
    def full_name(self) -> str:
        """Write the address."""
        return f"{self.owner.login}/{self.name}"

    def role(self, user: User) -> str:
        """Name the role of an account."""
        if user is self.owner:
            return "admin"
        return self.roles.get(user.id, "none" if self.private else "read")

    def label(self, name: str) -> Label | None:
        """Find a label as GitHub does, without regard to case."""
        return next((label for label in self.labels if label.name.lower() == name.lower()), None)


@dataclass(eq=False)
class Installation:
    """The App on an account."""

    id: int
    account: User
    created: datetime
    repositories: list[Repository] = field(default_factory=list)
    permissions: dict[str, str] = field(default_factory=lambda: dict(APP_PERMISSIONS))


@dataclass(eq=False)
class Token:
    """A credential: a user's own, or an installation's narrowed in repositories, permissions and time."""

    value: str
    user: User
    expires: datetime | None = None
    installation: Installation | None = None
    repositories: list[Repository] | None = None  # None = all that the holder may see
    permissions: dict[str, str] | None = None


class World:
    """All state; `skew` seconds are added to this machine's clock to make GitHub's."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.skew = 0.0
        self._ids = itertools.count(4_000_001)
        self.users: dict[str, User] = {}
        self.repositories: dict[int, Repository] = {}
        self.moved: dict[str, int] = {}  # former address -> repository id
        self.teams: dict[int, Team] = {}
        self.installations: dict[int, Installation] = {}
        self.tokens: dict[str, Token] = {}
        self.app_id = self.next_id()
        self.app_slug = "gatewright"
        self.app_public_key = b""
        self.app_bot = self.add_user("gatewright[bot]", "Bot")
        self.app_owner = self.add_user("octo-org", "Organization")
        self.created = self.now()

    def next_id(self) -> int:
        """Take the next id; nothing else ever gets it."""
        return next(self._ids)

    def now(self) -> datetime:
        """Read the clock in whole seconds, as all of GitHub's times are."""
        return (datetime.now(UTC) + timedelta(seconds=self.skew)).replace(microsecond=0)

    def add_user(self, login: str, kind: str = "User") -> User:
        """Register an account."""
        user = User(self.next_id(), login, kind)
        self.users[login.lower()] = user
        return user

    def find_user(self, login: str) -> User | None:
        """Find an account by login."""
        return self.users.get(login.lower())

    def team(self, org: str, slug: str) -> Team | None:
        """Find a team by its address."""
        wanted = f"{org}/{slug}".lower()
        return next((team for team in self.teams.values() if team.path.lower() == wanted), None)

    def known_by(self, address: str) -> User | None:
        """Find the account that an address in a commit belongs to."""
        return next((user for user in self.users.values() if user.address == address), None)

    def find_repository(self, owner: str, name: str) -> Repository | None:
        """Find a repository at its present address."""
        wanted = f"{owner}/{name}".lower()
        return next((repo for repo in self.repositories.values() if repo.full_name.lower() == wanted), None)

    def installation_of(self, repo: Repository) -> Installation | None:
        """Find the App's installation that covers a repository."""
        return next((i for i in self.installations.values() if repo in i.repositories), None)

    def mint(self, user: User, *, life: float | None = None, prefix: str = "ghp", **limits: Any) -> Token:
        """Make a token; `life` in seconds."""
        expires = None if life is None else self.now() + timedelta(seconds=life)
        token = Token(f"{prefix}_{secrets.token_hex(18)}", user, expires, **limits)
        self.tokens[token.value] = token
        return token
