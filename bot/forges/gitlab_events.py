"""GitLab's webhooks as events: pure, and deaf to everything that Gatewright does not act on.

Only what somebody did freshly acts. A note that was edited comes under the name of its author, not of the editor: that
it was edited is passed on in nobody's name, so that what was shown is read again. Payloads say nothing of what kind an
account is, nor how an issue came here; the API is asked for that later.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec
from msgspec.structs import replace

from bot.forges.gitlab_payloads import Change, Frame, IssueDelivery, MergeRequestDelivery, NoteDelivery
from bot.forges.gitlab_shapes import GHOST, Label, clean, milliseconds, read, stripped, titles
from bot.model.event import Comment, Event, EventKind, Repo

ISSUE: Final = "issue"
NOTE: Final = "note"
MERGE_REQUEST: Final = "merge_request"
# Header -> the object kinds that may act under it; a system hook is routed by what its body says it is.
HEADERS: Final[Mapping[str, tuple[str, ...]]] = {
    "Issue Hook": (ISSUE,),
    "Confidential Issue Hook": (ISSUE,),
    "Note Hook": (NOTE,),
    "Confidential Note Hook": (NOTE,),
    "Merge Request Hook": (MERGE_REQUEST,),
    "System Hook": (MERGE_REQUEST,),
}
# An empty action is an instance before 16.11, whose notes are told apart by their times.
ACTIONS: Final[Mapping[str, tuple[str, ...]]] = {
    ISSUE: ("open", "update", "close"),
    NOTE: ("create", "update", ""),
    MERGE_REQUEST: ("merge", "close", "update", "approved", "approval", "unapproved", "unapproval"),
}
IGNORED: Final[Mapping[str, str]] = {
    "Push Hook": "the merge request's own event tells of commits that matter",
    "Tag Push Hook": "tags start and end nothing",
    "Pipeline Hook": "pipelines do not decide: QA runs the checks itself",
    "Job Hook": "jobs do not decide: QA runs the checks itself",
    "Emoji Hook": "a reaction is no command, and our own ones come back here",
    "Wiki Page Hook": "wiki pages start nothing",
    "Deployment Hook": "deployments start nothing",
    "Feature Flag Hook": "feature flags start nothing",
    "Release Hook": "releases start nothing",
    "Milestone Hook": "milestones start nothing",
    "Resource Access Token Hook": "`doctor` tells when the token is about to expire",
    "Vulnerability Hook": "findings start nothing by themselves; label an issue",
    "Member Hook": "rights are asked of the API at the moment they matter",
    "Project Hook": "projects are known by their id, whatever becomes of their names",
    "Subgroup Hook": "projects are known by their id, whatever becomes of their names",
    "System Hook": "of system hooks only those of merge requests matter",
}
# System hooks say what they are in `event_name`; what they tell is read from the API whenever it matters.
SYSTEM: Final[Mapping[str, str]] = {
    "project_transfer": "where a project lives is asked of the API before each step",
    "project_rename": "projects are known by their id, whatever becomes of their names",
    "project_update": "who may read a project is asked of the API before each step",
    "user_rename": "people are known by their id, whatever they call themselves",
    "user_add_to_group": "memberships are asked of the API at the moment they matter",
    "user_remove_from_group": "memberships are asked of the API at the moment they matter",
    "user_add_to_team": "rights are asked of the API at the moment they matter",
    "user_remove_from_team": "rights are asked of the API at the moment they matter",
}
EDITS: Final = ("title", "description", "confidential")  # members of `changes` by which an issue reads otherwise
CHANGES: Final = {
    "merge": EventKind.CHANGE_MERGED,
    "close": EventKind.CHANGE_CLOSED,
    "update": EventKind.CHANGE_PUSHED,
    "approved": EventKind.REVIEWED,
    "approval": EventKind.REVIEWED,  # given, and more are required
    "unapproved": EventKind.UNREVIEWED,
    "unapproval": EventKind.UNREVIEWED,
}


class Ignored(msgspec.Struct, frozen=True):
    """Why a delivery moves nothing."""

    why: str


class Envelope(msgspec.Struct, frozen=True):
    """What is known of a delivery before its payload is read."""

    action: str
    delivery: str
    host: str
    received_ms: int


Seen = tuple[Event, ...] | Ignored


def action_of(payload: Mapping[str, Any]) -> str:
    """Find what was done; empty where the payload does not say."""
    attributes = stripped(payload.get("object_attributes"))
    action = attributes.get("action") if isinstance(attributes, dict) else None
    return action if isinstance(action, str) else ""


def acts_on(event: str, action: str) -> bool:
    """Tell from the event header and the action alone whether a delivery can matter to us."""
    return any(action in ACTIONS[kind] for kind in HEADERS.get(event, ()))


def parse(event: str, payload: dict[str, Any], *, delivery: str, host: str, received_ms: int) -> tuple[Event, ...]:
    """Read a verified delivery: one event for each label set or taken, none where there is nothing to act on.

    GW-FORGE-PAYLOAD where it cannot be understood.
    """
    seen = look(event, payload, delivery=delivery, host=host, received_ms=received_ms)
    return () if isinstance(seen, Ignored) else seen


def look(event: str, payload: dict[str, Any], *, delivery: str, host: str, received_ms: int) -> Seen:
    """Read a verified delivery, and say why where it moves nothing."""
    kind = payload.get("object_kind")
    if event not in HEADERS:
        return Ignored(IGNORED.get(event, "nothing is known of this event"))
    if kind not in HEADERS[event]:
        told = payload.get("event_name")
        why = SYSTEM.get(told) if event == "System Hook" and isinstance(told, str) else None
        return Ignored(why or IGNORED.get(event, f"its body is of another kind: {kind!r}"[:100]))
    action = action_of(payload)
    if action not in ACTIONS[kind]:
        return Ignored(f"{kind}: {action or 'no action'} moves nothing"[:100])
    whole = payload | {"object_attributes": stripped(payload.get("object_attributes"))}
    return READERS[kind](Envelope(action, delivery, host, received_ms), whole)


def _issue(envelope: Envelope, payload: object) -> Seen:
    seen = read(IssueDelivery, payload, "an issue event")
    subject = seen.object_attributes
    labels = titles(seen.labels) if seen.labels is not None else titles(subject.labels)
    issue = replace(subject.issue(envelope.received_ms), labels=labels)
    repo = _repo(envelope, seen, subject.project_id)
    if repo is None:
        return Ignored("it names no project by id")
    base = replace(_event(envelope, seen, repo, issue.number), at_ms=issue.updated_ms, issue=issue)
    if envelope.action == "close":
        return (replace(base, kind=EventKind.ISSUE_AWAY if subject.moved_to_id else EventKind.ISSUE_CLOSED),)
    if envelope.action == "open":  # nobody sends an event of its own for labels set at opening
        found = [(EventKind.LABELED, label) for label in labels]
    else:
        changes = seen.changes or {}
        if _went_away(changes):
            return (replace(base, kind=EventKind.ISSUE_AWAY),)
        found = [(EventKind.ISSUE_EDITED, "")] if any(name in changes for name in EDITS) else []
        found += _label_changes(changes.get("labels"))
    events = tuple(replace(base, kind=kind, label=label) for kind, label in found)
    return events or Ignored("neither its text nor its labels changed")


def _went_away(changes: Mapping[str, Change]) -> bool:
    """Tell whether it was moved, hidden from the public or locked: a person has to look."""
    switched_on = (changes.get("confidential"), changes.get("discussion_locked"))
    moved = changes.get("moved_to_id")
    return any(change is not None and change.current is True for change in switched_on) or bool(moved and moved.current)


def _label_changes(change: Change | None) -> list[tuple[EventKind, str]]:
    if change is None:
        return []
    before, after = (_names(side) for side in (change.previous, change.current))
    taken = [(EventKind.UNLABELED, label) for label in before if label not in after]
    return taken + [(EventKind.LABELED, label) for label in after if label not in before]


def _names(side: object) -> tuple[str, ...]:
    return titles(read(tuple[Label, ...], side or [], "a change of labels"))


def _note(envelope: Envelope, payload: object) -> Seen:
    seen = read(NoteDelivery, payload, "a note event")
    note = seen.object_attributes
    repo = _repo(envelope, seen, note.project_id)
    target = {"Issue": seen.issue, "MergeRequest": seen.merge_request}.get(note.noteable_type)
    if reason := _deaf(seen, repo, target):
        return Ignored(reason)
    assert repo is not None and target is not None and seen.user is not None  # noqa: S101, PT018 - as _deaf found
    created = milliseconds(note.created_at, envelope.received_ms)
    issue = seen.issue.issue(envelope.received_ms) if seen.issue else None
    is_private = seen.event_type == "confidential_note"
    comment = Comment(
        id=note.id,
        author=seen.user.actor(),
        body=clean(note.note or ""),
        created_ms=created,
        updated_ms=milliseconds(note.updated_at, created),
        url=note.url or "",
        is_internal=is_private and not (issue and issue.is_confidential),
    )
    base = replace(_event(envelope, seen, repo, target.iid), on_change=target is seen.merge_request, issue=issue)
    if _is_edit(envelope, seen):
        if base.on_change:
            return Ignored("gates are shown on issues, and only there an edit matters")
        # `user` is who wrote it, whoever edited it: no person may be taken for the actor.
        return (replace(base, kind=EventKind.ISSUE_EDITED, actor=GHOST, at_ms=comment.updated_ms, comment=comment),)
    return (replace(base, kind=EventKind.COMMENTED, at_ms=created, comment=comment),)


def _deaf(seen: NoteDelivery, repo: Repo | None, target: object) -> str:
    """Say why a note is not listened to, empty where it is."""
    note = seen.object_attributes
    if note.system:
        return "GitLab wrote it, not a person"
    if target is None:
        return f"notes on {note.noteable_type} are not listened to"[:100]
    if repo is None:
        return "it names no project by id"
    if seen.user is None or not seen.user.id or seen.user.id != note.author_id:
        return "who sent it is not who wrote it"
    return ""


def _is_edit(envelope: Envelope, seen: NoteDelivery) -> bool:
    """Tell an edited note from a new one; without an action only the times tell, and then a doubt is an edit."""
    note = seen.object_attributes
    return envelope.action == "update" or (not envelope.action and note.created_at != note.updated_at)


def _merge_request(envelope: Envelope, payload: object) -> Seen:
    seen = read(MergeRequestDelivery, payload, "a merge request event")
    change = seen.object_attributes
    repo = _repo(envelope, seen, change.target_project_id)
    if repo is None:
        return Ignored("it names no project by id")
    kind = CHANGES[envelope.action]
    if kind is EventKind.CHANGE_PUSHED and not change.oldrev:
        return Ignored("nothing was pushed: only its words or labels changed")
    head = change.last_commit.id if change.last_commit else ""
    at_ms = milliseconds(change.updated_at, envelope.received_ms)
    event = replace(_event(envelope, seen, repo, change.iid), kind=kind, at_ms=at_ms, on_change=True, head_sha=head)
    if kind is not EventKind.REVIEWED:
        return (event,)
    # An approval has no id of its own, and no time: the delivery's name tells a second one from the first.
    words = f"gitlab/approval\n{repo.key}\n{change.iid}\n{event.actor.id}\n{head}\n{envelope.delivery}"
    number = int.from_bytes(hashlib.sha256(words.encode()).digest()[:6], "big") or 1
    said = Comment(id=number, author=event.actor, body="", created_ms=at_ms, updated_ms=at_ms)
    return (replace(event, comment=said, review_approves=bool(head)),)


def _repo(envelope: Envelope, seen: Frame, otherwise: int | None) -> Repo | None:
    repo = seen.project.repo(envelope.host, seen.project_id or otherwise or 0)
    return repo if repo.id else None


def _event(envelope: Envelope, seen: Frame, repo: Repo, number: int) -> Event:
    return Event(
        kind=EventKind.LABELED,  # each reader says which
        repo=repo,
        number=number,
        actor=seen.user.actor() if seen.user else GHOST,
        delivery=envelope.delivery,
        at_ms=envelope.received_ms,
    )


READERS: Final[Mapping[str, Callable[[Envelope, object], Seen]]] = {
    ISSUE: _issue,
    NOTE: _note,
    MERGE_REQUEST: _merge_request,
}
