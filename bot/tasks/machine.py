"""The only place that knows transitions: (state, signal) -> state."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from bot.model.errors import Refused
from bot.model.state import State


class Signal(StrEnum):
    """What can happen to a task."""

    STARTED = "started"
    DRAFTED = "drafted"
    APPROVED = "approved"
    REAPPROVED = "reapproved"  # a gate was passed again, and what follows it is there already
    SPEC_VOIDED = "spec_voided"  # an approval does not hold when it is to be carried out
    PLAN_VOIDED = "plan_voided"
    SCOPE_FOUND = "scope_found"
    PUSHED = "pushed"  # somebody else's commit is on our branch
    REVISED = "revised"
    RESPECIFIED = "respecified"
    EDITED = "edited"
    REJECTED = "rejected"
    CODED = "coded"
    PASSED = "passed"
    FAILED = "failed"
    FIXED = "fixed"
    FIX_ASKED = "fix_asked"
    EXHAUSTED = "exhausted"
    PUBLISHED = "published"
    DRAFT_PUBLISHED = "draft_published"
    MERGED = "merged"
    CLOSED = "closed"
    BLOCKED = "blocked"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


S, G = State, Signal
TABLE: Final[dict[tuple[State, Signal], State]] = {
    (S.RECEIVED, G.STARTED): S.SPEC,
    (S.SPEC, G.DRAFTED): S.SPEC_REVIEW,
    (S.SPEC_REVIEW, G.APPROVED): S.PLAN,
    (S.SPEC_REVIEW, G.REAPPROVED): S.PLAN_REVIEW,
    (S.SPEC_REVIEW, G.REVISED): S.SPEC,
    (S.SPEC_REVIEW, G.EDITED): S.SPEC_REVIEW,
    (S.SPEC_REVIEW, G.REJECTED): S.REJECTED,
    (S.SPEC_REVIEW, G.EXPIRED): S.EXPIRED,
    (S.PLAN, G.DRAFTED): S.PLAN_REVIEW,
    (S.PLAN, G.SPEC_VOIDED): S.SPEC_REVIEW,
    (S.PLAN_REVIEW, G.SPEC_VOIDED): S.SPEC_REVIEW,
    (S.PLAN_REVIEW, G.APPROVED): S.CODING,
    (S.PLAN_REVIEW, G.REVISED): S.PLAN,
    (S.PLAN_REVIEW, G.RESPECIFIED): S.SPEC,
    (S.PLAN_REVIEW, G.EDITED): S.PLAN_REVIEW,
    (S.PLAN_REVIEW, G.REJECTED): S.REJECTED,
    (S.PLAN_REVIEW, G.EXPIRED): S.EXPIRED,
    (S.CODING, G.SPEC_VOIDED): S.SPEC_REVIEW,
    (S.CODING, G.PLAN_VOIDED): S.PLAN_REVIEW,
    (S.CODING, G.CODED): S.QA,
    (S.CODING, G.SCOPE_FOUND): S.SCOPE_REVIEW,
    (S.SCOPE_REVIEW, G.APPROVED): S.QA,
    (S.SCOPE_REVIEW, G.REVISED): S.PLAN,
    (S.SCOPE_REVIEW, G.RESPECIFIED): S.SPEC,
    (S.SCOPE_REVIEW, G.FIX_ASKED): S.FIXING,
    (S.SCOPE_REVIEW, G.REJECTED): S.REJECTED,
    (S.SCOPE_REVIEW, G.EXPIRED): S.EXPIRED,
    (S.SCOPE_REVIEW, G.CLOSED): S.REJECTED,
    (S.QA, G.SCOPE_FOUND): S.SCOPE_REVIEW,
    (S.QA, G.PASSED): S.PUBLISHING,
    (S.QA, G.FAILED): S.FIXING,
    (S.QA, G.CLOSED): S.REJECTED,
    (S.FIXING, G.FIXED): S.QA,
    (S.FIXING, G.SCOPE_FOUND): S.SCOPE_REVIEW,
    (S.FIXING, G.EXHAUSTED): S.PUBLISHING,
    (S.FIXING, G.CLOSED): S.REJECTED,
    (S.PUBLISHING, G.PUBLISHED): S.CHANGE_REVIEW,
    (S.PUBLISHING, G.DRAFT_PUBLISHED): S.BLOCKED,
    (S.PUBLISHING, G.CLOSED): S.REJECTED,
    (S.CHANGE_REVIEW, G.APPROVED): S.CHANGE_REVIEW,
    (S.CHANGE_REVIEW, G.PUSHED): S.QA,
    (S.CHANGE_REVIEW, G.FIX_ASKED): S.FIXING,
    (S.CHANGE_REVIEW, G.REJECTED): S.REJECTED,
    (S.CHANGE_REVIEW, G.EXPIRED): S.EXPIRED,
    (S.CHANGE_REVIEW, G.MERGED): S.DONE,
    (S.CHANGE_REVIEW, G.CLOSED): S.REJECTED,
    (S.BLOCKED, G.FIX_ASKED): S.FIXING,
    (S.BLOCKED, G.REVISED): S.PLAN,
    (S.BLOCKED, G.RESPECIFIED): S.SPEC,
    (S.BLOCKED, G.REJECTED): S.REJECTED,
    (S.BLOCKED, G.MERGED): S.DONE,
    (S.BLOCKED, G.CLOSED): S.REJECTED,
} | {
    (state, signal): target
    for state in S
    if not state.is_final
    for signal, target in ((G.BLOCKED, S.BLOCKED), (G.CANCELLED, S.CANCELLED))
}


def advance(state: State, signal: Signal) -> State:
    """Follow one transition; raise Refused where the table has none.

    `retry` is the one move that is not in the table: it goes back to the state a task was blocked in.
    """
    try:
        return TABLE[state, signal]
    except KeyError:
        raise Refused(
            "GW-STATE",
            f"'{signal.value}' is not possible while the task is in state '{state.value}'",
            fix="ask with `status` what is awaited now",
        ) from None
