"""What a task can lack: the nouns that `needs` answers with and converge carries out."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

import msgspec

from bot.model.ruling import Moment
from bot.model.state import Gate, State, Step
from bot.model.task import Heard


class Purpose(StrEnum):
    """Why we write to a forge; `purpose:rev` names one write for ever, so that it happens once."""

    PROGRESS = "progress"
    PROGRESS_EDIT = "progress.edit"
    SPEC_GATE = "gate.spec"
    PLAN_GATE = "gate.plan"
    SCOPE_GATE = "gate.scope"
    SPEC_AGAIN = "gate.spec.again"
    PLAN_AGAIN = "gate.plan.again"
    SCOPE_AGAIN = "gate.scope.again"
    SPEC_FOLD = "fold.spec"
    PLAN_FOLD = "fold.plan"
    SCOPE_FOLD = "fold.scope"
    VOIDED = "voided"
    EMERGENCY = "emergency"
    REACT = "react"
    REPLY = "reply"
    REVIEW_REPLY = "reply.review"  # reviews have ids of their own, which comments may have too
    BLOCKED = "blocked"
    CLOSED = "closed"
    PULL = "pull"
    PULL_BODY = "pull.body"
    PULL_CLOSE = "pull.close"
    STATUS = "status"
    MERGE = "merge"
    CI = "ci"


SHOWS: Final = {  # writes that ask, and what for
    Purpose.SPEC_GATE: Gate.SPEC,
    Purpose.PLAN_GATE: Gate.PLAN,
    Purpose.SCOPE_GATE: Gate.SCOPE,
    Purpose.SPEC_AGAIN: Gate.SPEC,
    Purpose.PLAN_AGAIN: Gate.PLAN,
    Purpose.SCOPE_AGAIN: Gate.SCOPE,
}
FOLDS: Final = {Purpose.SPEC_FOLD: Gate.SPEC, Purpose.PLAN_FOLD: Gate.PLAN, Purpose.SCOPE_FOLD: Gate.SCOPE}
MARKED: Final = {
    Purpose.PROGRESS: "progress",
    Purpose.SPEC_GATE: "gate.spec",
    Purpose.PLAN_GATE: "gate.plan",
    Purpose.SCOPE_GATE: "gate.scope",
    Purpose.VOIDED: "voided",
    Purpose.EMERGENCY: "emergency",
    Purpose.REPLY: "reply",
    Purpose.REVIEW_REPLY: "reply",
    Purpose.BLOCKED: "blocked",
    Purpose.CLOSED: "closed",
}


class Start(msgspec.Struct, frozen=True):
    """A new attempt has to begin."""

    step: Step


class Watch(msgspec.Struct, frozen=True):
    """An attempt runs: its job has to exist and to be alive."""

    attempt: int


class Ask(msgspec.Struct, frozen=True):
    """A gate has a draft that nobody has been asked about."""

    gate: Gate
    rev: int


class Decide(msgspec.Struct, frozen=True):
    """A gate has votes, or what it rests on has changed: a ruling has to be taken."""

    gate: Gate
    moment: Moment


class Merge(msgspec.Struct, frozen=True):
    """The change gate let the change pass, and policy says in words that the bot merges it."""


class Write(msgspec.Struct, frozen=True):
    """A forge lacks something; `heard` is the command that a reaction or reply answers."""

    purpose: Purpose
    rev: int
    heard: Heard | None = None

    @property
    def key(self) -> str:
        """Name this write."""
        return f"{self.purpose.value}:{self.rev}"


class Exhaust(msgspec.Struct, frozen=True):
    """The allowed QA rounds are used up."""


class Close(msgspec.Struct, frozen=True):
    """The task has come to its end."""

    state: State
    reason: str


class Seal(msgspec.Struct, frozen=True):
    """The task has ended and all of it was said: its last record has to be written."""


Need = Start | Watch | Ask | Decide | Merge | Write | Exhaust | Close | Seal


class Rules(msgspec.Struct, frozen=True):
    """What besides the task itself decides what a state needs."""

    qa_rounds: int = 3
    instance: str = ""
    is_frozen: bool = False  # a freeze window is open: no code is written
    is_full: bool = False  # the repository has as many open changes as policy allows
    is_due: bool = False  # a gate that is not settled is to be looked at again
