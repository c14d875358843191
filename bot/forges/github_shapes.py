"""The parts of GitHub's JSON that we read, as typed values; unknown members are ignored, missing ones have a reason.

Old captures and Enterprise servers leave out members that today's schema requires, and accounts are null once deleted:
what can be absent has a default here, so that no reader has to ask.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Any, Final, TypeVar

import msgspec
from msgspec import Meta

from bot.forges.protocol import Visibility
from bot.model.errors import GatewrightError
from bot.model.event import AccountKind, Actor, Comment, ForgeKind, Issue, Repo

Shape = TypeVar("Shape")
Clock = Callable[[], float]  # seconds since the epoch
Time = Annotated[datetime, Meta(tz=True)]
Id = Annotated[int, Meta(ge=1, lt=2**53)]
Number = Annotated[int, Meta(ge=1, lt=2**53)]
Sha = Annotated[str, Meta(pattern=r"^(?:[0-9a-f]{40}|[0-9a-f]{64})\Z")]
# The path goes into URLs: two plain segments, neither of which is `.` or `..`.
FullName = Annotated[str, Meta(pattern=r"^(?!\.\.?/)[A-Za-z0-9_.-]{1,100}/(?!\.\.?\Z)[A-Za-z0-9_.-]{1,100}\Z")]

KINDS: Final = {"User": AccountKind.HUMAN, "Bot": AccountKind.BOT}
VISIBILITIES: Final = frozenset(Visibility)
GHOST: Final = Actor(id=0, login="ghost", kind=AccountKind.UNKNOWN)  # id 0 has no rights anywhere


class User(msgspec.Struct, frozen=True):
    """An account; `type` is the only thing that tells people from bots."""

    id: Id
    login: Annotated[str, Meta(min_length=1, max_length=100)]
    type: str = ""

    def actor(self) -> Actor:
        """Read the account with its kind as GitHub says it."""
        return Actor(id=self.id, login=clean(self.login), kind=KINDS.get(self.type, AccountKind.UNKNOWN))


class Created(msgspec.Struct, frozen=True):
    """Anything that was made and has an id."""

    id: Id


class Repository(msgspec.Struct, frozen=True):
    """A repository where it lives now; old servers say `private` and no `visibility`."""

    id: Id
    full_name: FullName
    default_branch: str = ""
    private: bool = False
    visibility: str = ""
    owner: Created | None = None

    @property
    def seen_by(self) -> Visibility:
        """Tell who may read it; everybody where GitHub does not say."""
        if self.visibility in VISIBILITIES:
            return Visibility(self.visibility)
        return Visibility.PRIVATE if self.private and not self.visibility else Visibility.PUBLIC

    def repo(self, host: str) -> Repo:
        """Name the repository on this host."""
        return Repo(forge=ForgeKind.GITHUB, host=host, id=self.id, path=self.full_name)


class Label(msgspec.Struct, frozen=True):
    """A label; GitHub compares names without regard to case."""

    name: str


class IssueShape(msgspec.Struct, frozen=True):
    """An issue, or the issue side of a pull request."""

    number: Number
    title: str = ""
    body: str | None = None
    user: User | None = None
    labels: tuple[Label, ...] = ()
    state: str = "open"
    locked: bool = False
    comments: int = 0
    created_at: Time | None = None
    updated_at: Time | None = None
    html_url: str = ""
    pull_request: dict[str, Any] | None = None

    def issue(self, otherwise_ms: int) -> Issue:
        """Read the issue; `otherwise_ms` stands in for a missing time."""
        return Issue(
            number=self.number,
            title=clean(self.title),
            body=clean(self.body or ""),
            author=self.user.actor() if self.user else None,
            labels=tuple(clean(label.name) for label in self.labels),
            is_open=self.state == "open",
            is_locked=self.locked,
            updated_ms=milliseconds(self.updated_at, otherwise_ms),
            url=self.html_url,
            created_ms=milliseconds(self.created_at, 0),
        )


class CommentShape(msgspec.Struct, frozen=True):
    """A comment on an issue or a pull request."""

    id: Id
    body: str | None = None
    user: User | None = None
    created_at: Time | None = None
    updated_at: Time | None = None
    html_url: str = ""
    issue_url: str = ""

    def comment(self, otherwise_ms: int) -> Comment:
        """Read the comment; a deleted account becomes the powerless ghost."""
        created = milliseconds(self.created_at, otherwise_ms)
        return Comment(
            id=self.id,
            author=self.user.actor() if self.user else GHOST,
            body=clean(self.body or ""),
            created_ms=created,
            updated_ms=milliseconds(self.updated_at, created),
            url=self.html_url,
        )


class Review(msgspec.Struct, frozen=True):
    """A pull-request review; webhooks write its state in lower case, the API in upper case."""

    id: Id
    state: str = ""
    body: str | None = None
    user: User | None = None
    commit_id: Sha | None = None
    submitted_at: Time | None = None
    html_url: str = ""

    def comment(self, otherwise_ms: int) -> Comment:
        """Read the review's text as a comment whose id is the review's."""
        shape = CommentShape(self.id, self.body, self.user, self.submitted_at, self.submitted_at, self.html_url)
        return shape.comment(otherwise_ms)


class Head(msgspec.Struct, frozen=True):
    """The head of a pull request; `repo` is null once a fork is deleted."""

    sha: Sha
    ref: str = ""
    repo: Repository | None = None


class PullShape(msgspec.Struct, frozen=True):
    """A pull request, from the API or a webhook; lists carry `merged_at` but not `merged`."""

    number: Number
    head: Head
    state: str = "open"
    draft: bool = False
    merged: bool = False
    merged_at: Time | None = None
    updated_at: Time | None = None
    user: User | None = None
    html_url: str = ""

    @property
    def is_merged(self) -> bool:
        """Tell whether it was merged, by whichever member says so."""
        return self.merged or self.merged_at is not None


class Permission(msgspec.Struct, frozen=True):
    """What an account may do; `permission` is one of four, `role_name` may be finer or an organisation's own."""

    permission: str
    role_name: str = ""
    user: User | None = None


class ContentFile(msgspec.Struct, frozen=True):
    """One file at a commit; `encoding` is `none` above 1 MiB."""

    type: str
    encoding: str = ""
    content: str = ""


class RefTarget(msgspec.Struct, frozen=True):
    """What a ref points to."""

    sha: Sha
    type: str


class Ref(msgspec.Struct, frozen=True):
    """A git ref."""

    object: RefTarget


class AppShape(msgspec.Struct, frozen=True):
    """The GitHub App that we are; its bot account is called `<slug>[bot]`."""

    slug: Annotated[str, Meta(pattern=r"^[A-Za-z0-9-]{1,100}\Z")]


class TokenShape(msgspec.Struct, frozen=True):
    """An installation token."""

    token: Annotated[str, Meta(min_length=1)]
    expires_at: Time
    repositories: tuple[Created, ...] | None = None


def read(shape: type[Shape], data: object, what: str) -> Shape:
    """Convert decoded JSON; raise GW-FORGE-PAYLOAD naming the member that is wrong."""
    try:
        return msgspec.convert(data, shape)
    except (msgspec.ValidationError, RecursionError, UnicodeError) as error:
        raise GatewrightError(
            "GW-FORGE-PAYLOAD",
            f"GitHub sent {what} that cannot be read",
            why=str(error),
            fix="check that the webhook and api_url belong to GitHub; report it if they do",
        ) from error


def clean(text: str) -> str:
    """Replace lone surrogates, which JSON can smuggle in and UTF-8 cannot carry out."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def milliseconds(at: datetime | None, otherwise: int) -> int:
    """Convert a time to Unix milliseconds."""
    return otherwise if at is None else int(at.timestamp() * 1000)
