"""What lies in a project: what is talked about, what is said, what is built."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.simulators.gitlab.world import Project, User


@dataclass(eq=False)
class Label:
    """A label of a project; names differ by case."""

    id: int
    title: str
    color: str
    description: str | None
    created: datetime


@dataclass(eq=False)
class Award:
    """One account's award emoji."""

    id: int
    user: User
    name: str
    created: datetime


@dataclass(eq=False)
class Note:
    """A comment; `system` notes are GitLab's own, `internal` ones are for planners and up."""

    id: int
    subject: Subject
    author: User
    body: str
    created: datetime
    updated: datetime
    discussion: str
    internal: bool = False
    system: bool = False
    edited_by: User | None = None
    awards: list[Award] = field(default_factory=list)

    @property
    def is_confidential(self) -> bool:
        """Tell whether it is announced as confidential."""
        return self.internal or self.subject.confidential


@dataclass(frozen=True)
class LabelEvent:
    """A label was set or taken off."""

    id: int
    user: User
    created: datetime
    label: Label
    action: str  # add, remove


@dataclass(eq=False)
class Subject:
    """What can be talked about: an issue, and with `MergeRequest` a merge request; each counts its own numbers."""

    id: int
    iid: int
    project: Project
    title: str
    description: str | None
    author: User
    created: datetime
    updated: datetime
    state: str = "opened"
    closed: datetime | None = None
    closed_by: User | None = None
    edited_by: User | None = None
    locked: bool = False
    confidential: bool = False
    labels: list[Label] = field(default_factory=list)
    label_events: list[LabelEvent] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)
    awards: list[Award] = field(default_factory=list)
    imported_from: str = "none"
    reply_to: str | None = None  # the address behind an issue of the service desk
    moved_to: Subject | None = None

    kind = "Issue"
    folder = "issues"


@dataclass(eq=False)
class MergeRequest(Subject):
    """A merge request between two branches of one project."""

    source: str = ""
    target: str = ""
    sha: str = ""
    base_sha: str = ""
    removes_source: bool = False
    approvals: list[tuple[User, datetime]] = field(default_factory=list)
    merged: datetime | None = None
    merged_by: User | None = None
    merge_sha: str | None = None

    kind = "MergeRequest"
    folder = "merge_requests"

    @property
    def draft(self) -> bool:
        """Tell a draft by its title, as GitLab does."""
        return self.title.lower().startswith(("draft:", "[draft]", "(draft)"))


@dataclass(eq=False)
class Job:
    """A job, or (`external`) a commit status; both live in pipelines."""

    id: int
    pipeline: Pipeline
    name: str
    stage: str
    user: User
    created: datetime
    status: str = "created"
    external: bool = False
    started: datetime | None = None
    finished: datetime | None = None
    description: str | None = None
    target_url: str | None = None
    trace: str = ""
    allow_failure: bool = False


@dataclass(eq=False)
class Pipeline:
    """A pipeline of one commit on one ref; `source` is `external` where statuses made it."""

    id: int
    iid: int
    project: Project
    sha: str
    ref: str
    source: str
    user: User
    created: datetime
    updated: datetime
    jobs: list[Job] = field(default_factory=list)
    status: str = "created"
