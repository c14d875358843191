"""What people are asked at a gate, what they say, and what comes of it."""

from __future__ import annotations

import msgspec

from bot.model.event import Actor
from bot.model.state import Gate


class Artifact(msgspec.Struct, frozen=True):
    """One draft of a spec or a plan: its bytes are the blob `commitment`, its digest is over the content."""

    gate: Gate
    rev: int
    sha256: str
    commitment: str
    author: str  # "model" or a person's actor id such as "github:583231"


class Approval(msgspec.Struct, frozen=True):
    """One person's yes to exactly one gate digest; a ruling says whether it counts and suffices."""

    gate: Gate
    rev: int
    digest: str
    actor: Actor
    role: str  # when it was said
    at_ms: int
    event_id: str = ""
    method: str = "shown"
    comment_sha256: str = ""


class Passed(msgspec.Struct, frozen=True):
    """A ruling that let a gate pass, and whose yes it rests on."""

    gate: Gate
    digest: str
    at_ms: int
    people: tuple[int, ...]
    is_emergency: bool = False
    record: int = 0  # its number in the journal


class Ruled(msgspec.Struct, frozen=True):
    """What the last ruling at a gate was taken on; `missing` names the rules that were not met."""

    digest: str
    events: tuple[str, ...]  # of the votes
    at_ms: int
    passed: bool
    missing: tuple[str, ...] = ()
    breakers: int = 0


class Scope(msgspec.Struct, frozen=True):
    """What a change holds beyond its plan; `blob` is the whole list."""

    sha256: str
    commit: str
    source_sha256: str
    count: int
    blob: str


class Void(msgspec.Struct, frozen=True):
    """Approvals at a gate that fell, and what for: a reason of bot/reports/voids.toml."""

    gate: Gate
    reason: str


class Emergency(msgspec.Struct, frozen=True):
    """One of two people broke the glass for a gate digest."""

    gate: Gate
    digest: str
    person: int
    review_due_ms: int


class Glass(msgspec.Struct, frozen=True):
    """An emergency that let a gate pass, by when it has to be reviewed, and by whom it was; 0 is nobody."""

    gate: Gate
    digest: str
    breakers: tuple[int, ...]
    at_ms: int
    due_ms: int
    reviewer: int = 0


class Request(msgspec.Struct, frozen=True):
    """An approval that was asked for: the digest that was shown, and when."""

    gate: Gate
    rev: int
    digest: str
    at_ms: int
