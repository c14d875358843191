"""The parts of GitLab's JSON that we read, from webhooks and from the API; unknown members are ignored.

Self-hosted instances are of every age, and custom webhook templates leave out what they like: whatever can be absent
has a default here, so that no reader has to ask.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Any, Final, TypeVar

import msgspec
from msgspec import Meta

from bot.model.errors import GatewrightError
from bot.model.event import AccountKind, Actor, Comment, ForgeKind, Issue, Repo

Shape = TypeVar("Shape")
Clock = Callable[[], float]  # seconds since the epoch
Id = Annotated[int, Meta(ge=1, lt=2**53)]
MaybeId = Annotated[int, Meta(ge=0, lt=2**53)] | None
Sha = Annotated[str, Meta(pattern=r"^(?:[0-9a-f]{40}|[0-9a-f]{64})\Z")]
# The path goes into URLs: two plain segments or more (groups nest), none of which is `.` or `..`.
FullPath = Annotated[
    str,
    Meta(pattern=r"^(?:(?!\.\.?/)[A-Za-z0-9_.-]{1,255}/){1,24}(?!\.\.?\Z)[A-Za-z0-9_.-]{1,255}\Z"),
]
GHOST: Final = Actor(id=0, login="ghost", kind=AccountKind.UNKNOWN)  # id 0 has no rights anywhere
# "2015-05-17 17:06:40 UTC", "2017-09-20T08:31:45.944Z", "2016-12-01 13:11:10 +0200": GitLab writes all of them.
TIME: Final = re.compile(
    r"(\d{4}-\d\d-\d\d)[ T](\d\d:\d\d:\d\d)(\.\d{1,6})?\d*\s*(UTC|Z|[+-]\d\d:?\d\d)\s*", re.IGNORECASE
)
STATES: Final = ("opened", "reopened")


class Account(msgspec.Struct, frozen=True):
    """An account; old webhooks give no id, and only `/user` and `/users/:id` tell bots from people."""

    id: MaybeId = None
    username: str = ""
    bot: bool | None = None
    state: str | None = None  # API

    def actor(self) -> Actor:
        """Read the account; without the API's word its kind is unknown, and unknown accounts decide nothing."""
        if not self.id:
            return GHOST
        kind = AccountKind.UNKNOWN if self.bot is None else AccountKind.BOT if self.bot else AccountKind.HUMAN
        return Actor(id=self.id, login=clean(self.username), kind=kind)


class Namespace(msgspec.Struct, frozen=True):
    """The group or the person's own space that a project is in."""

    id: MaybeId = None


class Project(msgspec.Struct, frozen=True):
    """A project where it lives now."""

    path_with_namespace: FullPath
    id: MaybeId = None
    default_branch: str | None = None
    visibility: str | None = None  # API
    namespace: Namespace | str | None = None  # the API has an object, webhooks its name

    def repo(self, host: str, otherwise: int) -> Repo:
        """Name the project on this host; `otherwise` is its id where old payloads say it elsewhere."""
        return Repo(forge=ForgeKind.GITLAB, host=host, id=self.id or otherwise, path=self.path_with_namespace)


class Label(msgspec.Struct, frozen=True):
    """A label, as webhooks write it."""

    title: str = ""


class IssueShape(msgspec.Struct, frozen=True):
    """An issue: `object_attributes` of its webhook, the `issue` of a note's, or the API's answer."""

    iid: Id
    title: str | None = None
    description: str | None = None
    author: Account | None = None  # API
    author_id: MaybeId = None  # webhooks
    labels: tuple[Label | str, ...] = ()  # webhooks send objects, the API names
    state: str | None = "opened"
    confidential: bool | None = None
    discussion_locked: bool | None = None
    moved_to_id: int | None = None
    project_id: MaybeId = None
    user_notes_count: int = 0
    created_at: str | None = None
    updated_at: str | None = None
    url: str | None = None
    web_url: str | None = None
    action: str | None = None
    imported: bool | None = None  # API, 16.10
    imported_from: str | None = None  # API, 16.10
    service_desk_reply_to: str | None = None  # API, for reporters and above

    def issue(self, otherwise_ms: int) -> Issue:
        """Read the issue; `otherwise_ms` stands in for a missing time."""
        author = self.author or (Account(self.author_id) if self.author_id else None)
        return Issue(
            number=self.iid,
            title=clean(self.title or ""),
            body=clean(self.description or ""),
            author=author.actor() if author else None,
            labels=titles(self.labels),
            is_open=(self.state or "opened") in STATES,
            is_locked=bool(self.discussion_locked),
            updated_ms=milliseconds(self.updated_at, otherwise_ms),
            url=self.web_url or self.url or "",
            is_confidential=bool(self.confidential),
            created_ms=milliseconds(self.created_at, 0),
        )


class NoteShape(msgspec.Struct, frozen=True):
    """A note as the API gives it."""

    id: Id
    body: str | None = None
    author: Account | None = None
    created_at: str | None = None
    updated_at: str | None = None
    system: bool | None = False
    internal: bool | None = None
    confidential: bool | None = None

    def comment(self, otherwise_ms: int) -> Comment:
        """Read the note; a deleted account becomes the powerless ghost."""
        created = milliseconds(self.created_at, otherwise_ms)
        return Comment(
            id=self.id,
            author=self.author.actor() if self.author else GHOST,
            body=clean(self.body or ""),
            created_ms=created,
            updated_ms=milliseconds(self.updated_at, created),
            is_internal=bool(self.internal or self.confidential),
        )


class MergeRequestShape(msgspec.Struct, frozen=True):
    """A merge request as the API gives it; `sha` is its head."""

    iid: Id
    sha: Sha | None = None
    source_branch: str = ""
    source_project_id: MaybeId = None
    state: str = "opened"
    draft: bool | None = None
    work_in_progress: bool | None = None  # before 14.0
    title: str = ""
    author: Account | None = None
    web_url: str | None = None
    user_notes_count: int = 0
    merge_error: str | None = None
    detailed_merge_status: str | None = None  # 15.6


class Approver(msgspec.Struct, frozen=True):
    """Somebody who approves."""

    user: Account


class Approvals(msgspec.Struct, frozen=True):
    """Who approves a merge request."""

    approved_by: tuple[Approver, ...] = ()


class Member(msgspec.Struct, frozen=True):
    """What an account may do in a project, inherited and invited rights included."""

    id: Id
    access_level: int
    state: str = ""  # of the account
    membership_state: str = ""  # `awaiting` where somebody has to let it in
    created_at: str | None = None
    expires_at: str | None = None  # a day; it ends as that day begins, UTC

    @property
    def is_active(self) -> bool:
        """Tell whether neither the account nor the membership is held back."""
        return self.state == "active" and self.membership_state in ("", "active")


class StatusShape(msgspec.Struct, frozen=True):
    """A commit status."""

    status: str = ""


class FileShape(msgspec.Struct, frozen=True):
    """One file at a commit."""

    content: str = ""
    encoding: str = ""
    size: int = 0


class Created(msgspec.Struct, frozen=True):
    """Anything that was made and has an id; a note that was only quick actions has none."""

    id: Id


class CommitShape(msgspec.Struct, frozen=True):
    """A commit."""

    id: Sha


class BranchShape(msgspec.Struct, frozen=True):
    """A branch and its head."""

    commit: CommitShape


def read(shape: type[Shape], data: object, what: str) -> Shape:
    """Convert decoded JSON; raise GW-FORGE-PAYLOAD naming the member that is wrong."""
    try:
        return msgspec.convert(data, shape)
    except (msgspec.ValidationError, RecursionError, UnicodeError) as error:
        raise GatewrightError(
            "GW-FORGE-PAYLOAD",
            f"GitLab sent {what} that cannot be read",
            why=str(error),
            fix="check that [gitlab] url is a GitLab's, and that the webhook has no template of its own",
        ) from error


def titles(labels: tuple[Label | str, ...]) -> tuple[str, ...]:
    """Name labels, whichever way they came."""
    return tuple(clean(label if isinstance(label, str) else label.title) for label in labels)


def clean(text: str) -> str:
    """Replace lone surrogates, which JSON can smuggle in and UTF-8 cannot carry out."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def milliseconds(at: str | None, otherwise: int) -> int:
    """Convert any of GitLab's ways to write a time to Unix milliseconds."""
    found = TIME.fullmatch(at) if at else None
    if found is None:
        return otherwise
    day, time, fraction, zone = found.groups()
    offset = "+00:00" if zone.upper() in ("UTC", "Z") else zone
    try:
        return int(datetime.fromisoformat(f"{day}T{time}{fraction or ''}{offset}").timestamp() * 1000)
    except ValueError:
        return otherwise


def stripped(payload: Any) -> Any:
    """Take blanks off member names: one published group webhook has `"iid "` throughout."""
    if isinstance(payload, dict):
        return {name.strip() if isinstance(name, str) else name: value for name, value in payload.items()}
    return payload
