"""What GitLab's webhooks hold, as typed values."""

from __future__ import annotations

from typing import Any

import msgspec

from bot.forges.gitlab_shapes import Account, Id, IssueShape, Label, MaybeId, Project, Sha


class Change(msgspec.Struct, frozen=True):
    """One member of `changes`."""

    previous: Any = None
    current: Any = None


class Frame(msgspec.Struct, frozen=True):
    """What every delivery has around its subject."""

    project: Project
    user: Account | None = None
    project_id: MaybeId = None


class IssueDelivery(Frame, frozen=True, kw_only=True):
    """An issue's webhook."""

    object_attributes: IssueShape
    labels: tuple[Label, ...] | None = None
    changes: dict[str, Change] | None = None


class NoteAttributes(msgspec.Struct, frozen=True):
    """The note itself."""

    id: Id
    noteable_type: str
    note: str | None = None
    author_id: MaybeId = None
    created_at: str | None = None
    updated_at: str | None = None
    system: bool | None = None
    project_id: MaybeId = None
    url: str | None = None
    action: str | None = None


class Numbered(msgspec.Struct, frozen=True):
    """Something with a number in its project."""

    iid: Id


class NoteDelivery(Frame, frozen=True, kw_only=True):
    """A note's webhook."""

    object_attributes: NoteAttributes
    event_type: str | None = None
    issue: IssueShape | None = None
    merge_request: Numbered | None = None


class LastCommit(msgspec.Struct, frozen=True):
    """The head of a merge request."""

    id: Sha


class MergeRequestAttributes(msgspec.Struct, frozen=True):
    """The merge request itself; `oldrev` is there only where commits were pushed."""

    iid: Id
    target_project_id: MaybeId = None
    updated_at: str | None = None
    last_commit: LastCommit | None = None
    oldrev: str | None = None
    action: str | None = None


class MergeRequestDelivery(Frame, frozen=True, kw_only=True):
    """A merge request's webhook."""

    object_attributes: MergeRequestAttributes
