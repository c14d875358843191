"""What the simulated GitLab knows: accounts, groups, projects, what is in them, and tokens."""

from __future__ import annotations

import itertools
import secrets
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Final, Literal

from tests.simulators.gitlab.quick_actions import Rule
from tests.simulators.gitlab.things import Label, MergeRequest, Pipeline, Subject

LEVELS: Final = {"guest": 10, "planner": 15, "reporter": 20, "developer": 30, "maintainer": 40, "owner": 50}
EVENTS: Final = {
    "push_events": "Push Hook",
    "tag_push_events": "Tag Push Hook",
    "issues_events": "Issue Hook",
    "confidential_issues_events": "Confidential Issue Hook",
    "note_events": "Note Hook",
    "confidential_note_events": "Confidential Note Hook",
    "merge_requests_events": "Merge Request Hook",
    "emoji_events": "Emoji Hook",
    "pipeline_events": "Pipeline Hook",
    "job_events": "Job Hook",
}


@dataclass
class Traits:
    """In what instances differ; may be changed while the simulator runs."""

    version: str = "18.9.1"
    rule: Rule = Rule.PARAGRAPHS
    idempotency_keys: bool = True  # 17.4
    note_actions: bool = True  # 16.11: object_attributes.action of a note
    signing: bool = True  # feature flag webhook_signing_token
    old_payloads: bool = False  # no ids of user and project, no event_type, no newer fields
    # What follows failures: back-off for 4 and the end after 40; 4xx ends it after 4 (before 17.11); nothing.
    disables: Literal["backoff", "forever", "never"] = "backoff"
    most_paths: int = 1_000  # of a comparison
    refused_refs: tuple[str, ...] = ()  # prefixes that a server-side hook of the instance refuses

    @classmethod
    def old(cls) -> Traits:
        """Describe GitLab 14: what the newest GitLab sends is not there yet."""
        return cls("14.10.5", Rule.LINES, False, False, False, True, "forever")


@dataclass(eq=False)
class User:
    """An account; `bot` marks those that GitLab makes for project and group access tokens."""

    id: int
    username: str
    name: str
    created: datetime
    bot: bool = False
    state: str = "active"

    @property
    def email(self) -> str:
        """Name the verified address."""
        return f"{self.username}@example.com"


@dataclass(eq=False)
class Group:
    """A group; members' levels hold in all that is below it."""

    id: int
    path: str
    parent: Group | None = None
    members: dict[int, int] = field(default_factory=dict)
    joined: dict[int, datetime] = field(default_factory=dict)
    until: dict[int, date] = field(default_factory=dict)  # the day on which a membership ends
    hooks: list[Hook] = field(default_factory=list)

    @property
    def full_path(self) -> str:
        """Write the path from the top."""
        return f"{self.parent.full_path}/{self.path}" if self.parent else self.path

    @property
    def line(self) -> list[Group]:
        """List this group and those above it."""
        return [self, *(self.parent.line if self.parent else [])]

    def level(self, user: User) -> int:
        """Read an account's highest access level, here or above; 0 is none."""
        return max(group.members.get(user.id, 0) for group in self.line)


@dataclass(eq=False)
class Hook:
    """A webhook of a project or a group, or (`place` None) of the whole instance."""

    id: int
    url: str
    place: Project | Group | None
    created: datetime
    token: str = ""
    signing: str = ""
    events: dict[str, bool] = field(default_factory=lambda: dict.fromkeys(EVENTS, True))
    name: str | None = None
    description: str | None = None
    failures: int = 0
    backoffs: int = 0
    disabled_until: datetime | None = None
    disabled: bool = False


@dataclass(eq=False)
class Project:
    """A project with its bare git directory.

    `protected` maps a branch, or a pattern with `*`, to the levels that push and merge need (0: no one); `admitted`
    names accounts that may all the same.
    """

    id: int
    path: str
    group: Group
    git: Path
    created: datetime
    default_branch: str = "main"
    visibility: str = "private"
    members: dict[int, int] = field(default_factory=dict)
    labels: list[Label] = field(default_factory=list)
    issues: dict[int, Subject] = field(default_factory=dict)
    merge_requests: dict[int, MergeRequest] = field(default_factory=dict)
    pipelines: list[Pipeline] = field(default_factory=list)
    hooks: list[Hook] = field(default_factory=list)
    protected: dict[str, tuple[int, int]] = field(default_factory=lambda: {"main": (40, 40)})
    admitted: dict[str, tuple[frozenset[int], frozenset[int]]] = field(default_factory=dict)
    variables: dict[str, bool] = field(default_factory=dict)  # name -> whether it is protected
    approvals_required: int = 0
    resets_approvals: bool = True  # on push
    author_approves: bool = True
    rejects_unknown_authors: bool = False

    @property
    def full_path(self) -> str:
        """Write path_with_namespace."""
        return f"{self.group.full_path}/{self.path}"

    def label(self, title: str) -> Label | None:
        """Find a label."""
        return next((label for label in self.labels if label.title == title), None)

    def level(self, user: User) -> int:
        """Read an account's highest access level, of its own or inherited; 0 is none."""
        own = self.members.get(user.id, 0)
        return max([own, *(group.members.get(user.id, 0) for group in self.group.line)])


@dataclass(eq=False)
class Token:
    """A personal, project or group access token; `within` limits the latter two."""

    id: int
    value: str
    user: User
    scopes: frozenset[str]
    created: datetime
    expires: datetime | None = None
    within: Project | Group | None = None
    revoked: bool = False

    def reaches(self, project: Project) -> bool:
        """Tell whether the token is good for a project."""
        return self.within is None or self.within is project or self.within in project.group.line


class World:
    """All state; `skew` seconds are added to this machine's clock to make GitLab's."""

    def __init__(self, root: Path, traits: Traits) -> None:
        self.root = root
        self.traits = traits
        self.skew = 0.0
        self._ids = itertools.count(7_001)
        self.users: dict[int, User] = {}
        self.groups: dict[str, Group] = {}
        self.projects: dict[int, Project] = {}
        self.tokens: dict[str, Token] = {}
        self.hooks: list[Hook] = []  # the instance's own
        self.root_user = self.add_user("root")

    def next_id(self) -> int:
        """Take the next id; nothing else ever gets it."""
        return next(self._ids)

    def now(self) -> datetime:
        """Read the clock in milliseconds, as the API shows it; webhooks show whole seconds."""
        now = datetime.now(UTC) + timedelta(seconds=self.skew)
        return now.replace(microsecond=now.microsecond // 1000 * 1000)

    def add_user(self, username: str, *, bot: bool = False) -> User:
        """Register an account."""
        user = User(self.next_id(), username, username.title(), self.now(), bot)
        self.users[user.id] = user
        return user

    def find_user(self, username: str) -> User | None:
        """Find an account by name."""
        return next((user for user in self.users.values() if user.username.lower() == username.lower()), None)

    def group(self, full_path: str) -> Group:
        """Find a group, or make it with those above it."""
        if full_path not in self.groups:
            above, _, path = full_path.rpartition("/")
            self.groups[full_path] = Group(self.next_id(), path, self.group(above) if above else None)
        return self.groups[full_path]

    def find_project(self, wanted: str) -> Project | None:
        """Find a project by id or path_with_namespace."""
        if wanted.isdigit():
            return self.projects.get(int(wanted))
        return next((p for p in self.projects.values() if p.full_path.lower() == wanted.lower()), None)

    def mint(
        self, user: User, scopes: frozenset[str], *, within: Project | Group | None = None, life: float | None = None
    ) -> Token:
        """Make a token; `life` in seconds."""
        expires = None if life is None else self.now() + timedelta(seconds=life)
        value = f"glpat-{secrets.token_urlsafe(15)}"
        self.tokens[value] = Token(self.next_id(), value, user, scopes, self.now(), expires, within)
        return self.tokens[value]
