"""GitHub's webhooks as events: pure, and deaf to everything that Gatewright does not act on.

Only what somebody did freshly acts: a comment that was created (an edit fires with today's rights on yesterday's
text), a review that was submitted. Who may do it is asked later, by numeric id, of the API. An edit only says that what
was read before has to be looked at again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec
from msgspec.structs import replace

from bot.forges.github_shapes import (
    GHOST,
    CommentShape,
    Id,
    IssueShape,
    Label,
    PullShape,
    Repository,
    Review,
    User,
    clean,
    milliseconds,
    read,
)
from bot.model.event import Event, EventKind

HAPPENINGS: Final[Mapping[tuple[str, str], EventKind]] = {
    ("issues", "labeled"): EventKind.LABELED,
    ("issues", "unlabeled"): EventKind.UNLABELED,
    ("issues", "edited"): EventKind.ISSUE_EDITED,
    ("issues", "closed"): EventKind.ISSUE_CLOSED,
    ("issues", "transferred"): EventKind.ISSUE_AWAY,
    ("issues", "deleted"): EventKind.ISSUE_AWAY,
    ("issues", "locked"): EventKind.ISSUE_AWAY,
    ("issue_comment", "created"): EventKind.COMMENTED,
    ("issue_comment", "edited"): EventKind.ISSUE_EDITED,  # whether it was one of ours is known later
    ("issue_comment", "deleted"): EventKind.ISSUE_EDITED,
    ("pull_request", "closed"): EventKind.CHANGE_CLOSED,  # or merged, as the payload says
    ("pull_request", "synchronize"): EventKind.CHANGE_PUSHED,
    ("pull_request_review", "submitted"): EventKind.REVIEWED,
}


class Installation(msgspec.Struct, frozen=True):
    """The GitHub App installation that a delivery is for."""

    id: Id


class Frame(msgspec.Struct, frozen=True):
    """What every delivery has around its subject."""

    repository: Repository
    sender: User | None = None
    installation: Installation | None = None


class IssueDelivery(Frame, frozen=True, kw_only=True):
    """`issues`; `label` is absent when the label itself was deleted meanwhile."""

    issue: IssueShape
    label: Label | None = None


class CommentDelivery(Frame, frozen=True, kw_only=True):
    """`issue_comment`, which is also sent for pull requests."""

    issue: IssueShape
    comment: CommentShape


class PullDelivery(Frame, frozen=True, kw_only=True):
    """`pull_request`."""

    pull_request: PullShape


class ReviewDelivery(Frame, frozen=True, kw_only=True):
    """`pull_request_review`."""

    pull_request: PullShape
    review: Review


class Envelope(msgspec.Struct, frozen=True):
    """What is known of a delivery before its payload is read."""

    kind: EventKind
    delivery: str
    host: str
    received_ms: int


def acts_on(event: str, action: str) -> bool:
    """Tell from the event header and the action alone whether a delivery can matter to us.

    `repository` never does (transferred, renamed, publicized, privatized): it names no issue that a task could be found
    by, it can get lost, and where a repository lives and who may read it is read again before each step anyway.
    """
    return (event, action) in HAPPENINGS


def parse(event: str, payload: dict[str, Any], *, delivery: str, host: str, received_ms: int) -> Event | None:
    """Read a verified delivery; None when there is nothing to act on, GW-FORGE-PAYLOAD when it cannot be understood."""
    action = payload.get("action")
    if not isinstance(action, str) or (event, action) not in HAPPENINGS:
        return None
    envelope = Envelope(HAPPENINGS[event, action], delivery, host, received_ms)
    return READERS[event](envelope, payload)


def _issue(envelope: Envelope, payload: object) -> Event | None:
    seen = read(IssueDelivery, payload, "an issue event")
    needs_label = envelope.kind in (EventKind.LABELED, EventKind.UNLABELED)
    if seen.issue.pull_request is not None or (needs_label and seen.label is None):
        return None
    issue = seen.issue.issue(envelope.received_ms)
    label = clean(seen.label.name) if needs_label and seen.label else ""
    return replace(_event(envelope, seen, issue.number), at_ms=issue.updated_ms, issue=issue, label=label)


def _comment(envelope: Envelope, payload: object) -> Event | None:
    seen = read(CommentDelivery, payload, "a comment event")
    if envelope.kind is EventKind.ISSUE_EDITED:
        return _comment_changed(envelope, seen)
    if not _speaks_for_itself(seen, seen.comment.user):
        return None
    comment = seen.comment.comment(envelope.received_ms)
    on_change = seen.issue.pull_request is not None
    return replace(
        _event(envelope, seen, seen.issue.number),
        actor=comment.author,
        at_ms=comment.created_ms,
        on_change=on_change,
        comment=comment,
        issue=None if on_change else seen.issue.issue(envelope.received_ms),
    )


def _comment_changed(envelope: Envelope, seen: CommentDelivery) -> Event | None:
    """Name who changed or deleted a comment, whoever wrote it; gates are shown on issues, elsewhere it is nothing."""
    if seen.issue.pull_request is not None:
        return None
    return replace(
        _event(envelope, seen, seen.issue.number),
        comment=seen.comment.comment(envelope.received_ms),
        issue=seen.issue.issue(envelope.received_ms),
    )


def _pull(envelope: Envelope, payload: object) -> Event | None:
    seen = read(PullDelivery, payload, "a pull request event")
    pull = seen.pull_request
    merged = envelope.kind is EventKind.CHANGE_CLOSED and pull.is_merged
    return replace(
        _event(envelope, seen, pull.number),
        kind=EventKind.CHANGE_MERGED if merged else envelope.kind,
        at_ms=milliseconds(pull.updated_at, envelope.received_ms),
        on_change=True,
        head_sha=pull.head.sha,
    )


def _review(envelope: Envelope, payload: object) -> Event | None:
    seen = read(ReviewDelivery, payload, "a review event")
    if not _speaks_for_itself(seen, seen.review.user):
        return None
    comment = seen.review.comment(envelope.received_ms)
    # The commit that was reviewed, not the head of this moment; without it an approval binds nothing.
    reviewed = seen.review.commit_id or ""
    return replace(
        _event(envelope, seen, seen.pull_request.number),
        actor=comment.author,
        at_ms=comment.created_ms,
        on_change=True,
        comment=comment,
        head_sha=reviewed,
        review_approves=bool(reviewed) and seen.review.state.lower() == "approved",
    )


def _speaks_for_itself(seen: Frame, author: User | None) -> bool:
    """Tell whether the words are the sender's own; words of a deleted or another account move nothing."""
    return author is not None and seen.sender is not None and seen.sender.id == author.id


def _event(envelope: Envelope, seen: Frame, number: int) -> Event:
    return Event(
        kind=envelope.kind,
        repo=seen.repository.repo(envelope.host),
        number=number,
        actor=seen.sender.actor() if seen.sender else GHOST,
        delivery=envelope.delivery,
        at_ms=envelope.received_ms,
        installation=seen.installation.id if seen.installation else 0,
    )


READERS: Final[Mapping[str, Callable[[Envelope, object], Event | None]]] = {
    "issues": _issue,
    "issue_comment": _comment,
    "pull_request": _pull,
    "pull_request_review": _review,
}
