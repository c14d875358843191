"""What a text needs and the task's journal does not hold."""

from __future__ import annotations

import msgspec

from bot.model.task import Usage


class Subject(msgspec.Struct, frozen=True):
    """The issue and its change as people know them; an empty URL is left out."""

    title: str = ""
    issue_url: str = ""
    change_url: str = ""
    branch_url: str = ""
    evidence_url: str = ""
    author: str = ""  # who wrote the issue
    policy_by: str = ""  # who last changed the repository's policy file
    note: str = ""  # the newest signed checkpoint of the journal, as the forge is to keep it


class Approvers(msgspec.Struct, frozen=True):
    """Who may approve at a gate; `who` empty means everybody with the role that policy asks for."""

    needed: int = 1
    who: str = ""
    barred: tuple[str, ...] = ()  # each as `mira-k, who approved the spec`
    given: tuple[str, ...] = ()  # who has approved so far


class Way(msgspec.Struct, frozen=True):
    """One way out of a blocked task: in which case, and what to say."""

    case: str
    verb: str
    argument: str = ""


class ScopeItem(msgspec.Struct, frozen=True):
    """One thing that a change holds beyond its plan; `rule` is a key of scope.toml."""

    rule: str
    path: str
    detail: str = ""


class ScopeGroup(msgspec.Struct, frozen=True):
    """What one rule found."""

    title: str
    items: tuple[ScopeItem, ...]


class Waits(msgspec.Struct, frozen=True):
    """What holds a task back besides people's decisions; zeros where it is nothing."""

    frozen_until_ms: int = 0
    cap_open: int = 0  # open changes by the bot in the repository
    cap: int = 0  # as many as policy allows


class Broken(msgspec.Struct, frozen=True):
    """A gate that was passed in an emergency; 0 where somebody has reviewed it."""

    gate: str
    review_due_ms: int


class Problem(msgspec.Struct, frozen=True):
    """Why a task is blocked; `log` is shown from its end."""

    code: str
    what: str
    why: str = ""
    fix: str = ""
    log: str = ""
    ways: tuple[Way, ...] = ()


class Room(msgspec.Struct, frozen=True):
    """How much a text may hold: characters of a fold, characters of an item, items of a list."""

    fold: int
    item: int
    items: int


class Caps(msgspec.Struct, frozen=True):
    """What one task may use; None is no limit."""

    tokens: int | None = None
    calls: int | None = None
    micro_usd: int | None = None
    minutes: int | None = None


class Stage(msgspec.Struct, frozen=True):
    """One line of the progress table; `mark` is done, running, asks, waits, blocked, stopped or paused."""

    name: str
    mark: str
    ms: int
    usage: Usage
    who: str = ""
    is_current: bool = False


class Spent(msgspec.Struct, frozen=True):
    """What one phase cost over all its attempts."""

    name: str
    models: tuple[str, ...]
    attempts: int
    ms: int
    usage: Usage
