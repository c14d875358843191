"""What a decision at a gate is taken on, and what it says; recorded whole, so that anybody can take it again."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from bot.model.event import AccountKind
from bot.model.role import Role
from bot.model.state import Gate

Short = Annotated[str, Meta(max_length=256)]
Id = Annotated[int, Meta(ge=0, lt=2**53)]
Moment = Literal["decision", "execution"]
Method = Literal["digest", "shown", "review", "native"]


class Input(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Base of what a ruling rests on; closed, because it stands in records."""


class Vote(Input, frozen=True):
    """One person's yes, as it stands when the ruling is taken.

    `entries` are those of the gate's `approvers` that the person matches now, membership age included; `owns` counts
    the code-owner groups of the touched paths (by index) in which the person is one.
    """

    person: Id
    event_id: Short  # `<issue or change>:<comment id>`
    digest: Short
    method: Method
    at_ms: Id
    kind: AccountKind
    role_then: Role
    role_now: Role
    is_unchanged: bool  # the comment is there, by the same author, never edited; a native approval still stands
    entries: tuple[Short, ...] = ()
    owns: tuple[Id, ...] = ()
    delegators: tuple[Id, ...] = ()  # for whom the person stands in on that day


class Parts(Input, frozen=True):
    """Who has played which part so far, by numeric id; 0 is somebody the forge could not name."""

    labeller: Id
    author: Id
    writer: tuple[Id, ...] = ()
    committer: tuple[Id, ...] = ()
    spec: tuple[Id, ...] = ()
    plan: tuple[Id, ...] = ()
    scope: tuple[Id, ...] = ()
    change: tuple[Id, ...] = ()


class Case(Input, frozen=True):
    """Everything a ruling is taken on; `digest` is what would be approved now, `asked` what was shown last."""

    gate: Gate
    moment: Moment
    at_ms: Id
    digest: Short
    asked: Short
    asked_ms: Id
    policy_sha256: Short
    votes: tuple[Vote, ...]
    parts: Parts
    owners: tuple[Id, ...] = ()  # how many people of each group of code owners have to say yes
    is_frozen: bool = False
    is_shown: bool = True  # the comment that asks reads as it was written
    is_scope_decided: bool = True  # change gate: no scope finding is undecided
    is_head: bool = True  # change gate: the change's head is the commit that is bound
    is_enforced: bool = True  # change gate: the forge holds merges to the gate, or policy does not ask it to
    breakers: tuple[Id, ...] = ()  # who broke the glass for this very digest


class Tally(Input, frozen=True):
    """What became of one vote; an empty code means that it counts."""

    person: Id
    event_id: Short
    code: Short = ""


class Outcome(Input, frozen=True):
    """What one rule of policy says: `rule` is its name in docs/governance.md."""

    rule: Short
    ok: bool
    why: Short = ""


class Ruling(Input, frozen=True):
    """The decision: it passes where every rule is ok, or where the glass was broken."""

    passed: bool
    is_emergency: bool
    outcomes: tuple[Outcome, ...]
    tallies: tuple[Tally, ...]
