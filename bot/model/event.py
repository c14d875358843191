"""What happened on a forge, in words no forge owns."""

from __future__ import annotations

from enum import StrEnum

import msgspec


class ForgeKind(StrEnum):
    """The forges Gatewright speaks to."""

    GITHUB = "github"
    GITLAB = "gitlab"
    LOCAL = "local"


class AccountKind(StrEnum):
    """What kind of account acts, as the forge's API says it; never guessed from a name."""

    HUMAN = "human"
    BOT = "bot"
    UNKNOWN = "unknown"


class Actor(msgspec.Struct, frozen=True):
    """An account by its immutable numeric id; `login` is for display only."""

    id: int
    login: str
    kind: AccountKind = AccountKind.HUMAN


class Repo(msgspec.Struct, frozen=True):
    """A repository: (forge, host, id) is its identity, `path` (`owner/name`) its present address."""

    forge: ForgeKind
    host: str
    id: int
    path: str

    @property
    def key(self) -> str:
        """Name the repository for keys and records: `github:github.com:186853002`."""
        return f"{self.forge}:{self.host}:{self.id}"


class EventKind(StrEnum):
    """The happenings Gatewright acts on; everything else is answered `ignored`."""

    LABELED = "labeled"
    UNLABELED = "unlabeled"
    ISSUE_EDITED = "issue_edited"  # its text, title or visibility; also our own comments on it
    COMMENTED = "commented"
    ISSUE_CLOSED = "issue_closed"
    ISSUE_AWAY = "issue_away"  # transferred, deleted or locked: a person has to look
    REVIEWED = "reviewed"
    UNREVIEWED = "unreviewed"  # a person took back an approval
    CHANGE_MERGED = "change_merged"
    CHANGE_CLOSED = "change_closed"
    CHANGE_PUSHED = "change_pushed"


class Comment(msgspec.Struct, frozen=True):
    """One comment as the forge holds it; times are Unix milliseconds UTC."""

    id: int
    author: Actor
    body: str
    created_ms: int
    updated_ms: int
    url: str = ""
    is_internal: bool = False  # hidden from part of those who see the issue or change it is on


class Arrival(StrEnum):
    """How an issue came to be where it is; only what a person opened here may trigger."""

    OPENED = "opened"
    IMPORTED = "imported"
    MOVED = "moved"
    SERVICE_DESK = "service_desk"


class Issue(msgspec.Struct, frozen=True):
    """One issue as the forge holds it; `author` is None for a deleted account, a time of 0 is not known."""

    number: int
    title: str
    body: str
    author: Actor | None
    labels: tuple[str, ...]
    is_open: bool
    is_locked: bool
    updated_ms: int
    url: str = ""
    is_confidential: bool = False
    created_ms: int = 0
    arrival: Arrival = Arrival.OPENED


class LabelEvent(msgspec.Struct, frozen=True):
    """Somebody set or took off a label, as the forge's own history of the issue tells it."""

    label: str
    actor: Actor
    at_ms: int
    is_set: bool
    is_by_app: bool = False  # an integration acted in the person's name


class Event(msgspec.Struct, frozen=True):
    """Who did what to which issue or change, in which delivery."""

    kind: EventKind
    repo: Repo
    number: int
    actor: Actor
    delivery: str
    at_ms: int
    on_change: bool = False  # `number` is a pull or merge request
    label: str = ""
    comment: Comment | None = None
    issue: Issue | None = None  # as the delivery showed it
    head_sha: str = ""
    review_approves: bool = False
    installation: int = 0  # GitHub App installation, 0 elsewhere
