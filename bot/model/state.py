"""Where a task can stand, what is done there, and where people decide."""

from __future__ import annotations

from enum import StrEnum
from typing import Final


class Phase(StrEnum):
    """What a model does; these five names are the keys of a profile."""

    SPEC = "spec"
    PLANNING = "planning"
    CODING = "coding"
    QA = "qa"
    QA_FIXER = "qa_fixer"


class Step(StrEnum):
    """What one attempt does: a phase, or one of the two deliveries that need no model."""

    SPEC = "spec"
    PLANNING = "planning"
    CODING = "coding"
    QA = "qa"
    QA_FIXER = "qa_fixer"
    PUBLISH = "publish"
    ARCHIVE = "archive"

    @property
    def phase(self) -> Phase | None:
        """Name the phase whose model this step asks, if it asks one."""
        return None if self in (Step.PUBLISH, Step.ARCHIVE) else Phase(self.value)


class Gate(StrEnum):
    """Where people decide."""

    SPEC = "spec"
    PLAN = "plan"
    SCOPE = "scope"
    CHANGE = "change"


class State(StrEnum):
    """Where a task stands; bot/tasks/machine.py holds every transition."""

    RECEIVED = "received"
    SPEC = "spec"
    SPEC_REVIEW = "spec_review"
    PLAN = "plan"
    PLAN_REVIEW = "plan_review"
    CODING = "coding"
    QA = "qa"
    FIXING = "fixing"
    SCOPE_REVIEW = "scope_review"
    PUBLISHING = "publishing"
    CHANGE_REVIEW = "change_review"
    DONE = "done"
    BLOCKED = "blocked"
    CANCELLED = "cancelled"
    REJECTED = "rejected"
    EXPIRED = "expired"

    @property
    def is_final(self) -> bool:
        """Tell whether nothing can follow."""
        return self in (State.DONE, State.CANCELLED, State.REJECTED, State.EXPIRED)

    @property
    def gate(self) -> Gate | None:
        """Name the gate at which this state waits for people, if it does."""
        return GATE_OF.get(self)


GATE_OF: Final = {
    State.SPEC_REVIEW: Gate.SPEC,
    State.PLAN_REVIEW: Gate.PLAN,
    State.SCOPE_REVIEW: Gate.SCOPE,
    State.CHANGE_REVIEW: Gate.CHANGE,
}
