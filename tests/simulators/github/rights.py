"""Teams, what guards branches, and what was dispatched: the part of the world that says who may."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.simulators.github.world import User


@dataclass(eq=False)
class Team:
    """A team of an organisation; `members` maps an account to `active` or `pending`."""

    id: int
    org: User
    slug: str
    members: dict[int, str] = field(default_factory=dict)

    @property
    def path(self) -> str:
        """Write it as code owners do."""
        return f"{self.org.login}/{self.slug}"


@dataclass(eq=False)
class Guard:
    """Classic protection of a branch; `checks` maps a status to the App that must post it, None for anybody."""

    checks: dict[str, int | None] = field(default_factory=dict)
    admins_too: bool = True
    only: list[User] | None = None  # who alone may push; the App's bot stands for the App


@dataclass(eq=False)
class Ruleset:
    """Rules for one branch; `bypass` lists those who may go around them."""

    id: int
    branch: str
    checks: dict[str, int | None]
    bypass: list[dict[str, Any]] = field(default_factory=list)
    enforcement: str = "active"


@dataclass(eq=False)
class Entry:
    """One line of an issue's history; `via_app` where an App acted for the account."""

    id: int
    event: str
    actor: User
    created: datetime
    label: str = ""
    via_app: bool = False


@dataclass(frozen=True)
class Dispatch:
    """A repository dispatch, which starts the workflows that listen to its type."""

    event_type: str
    payload: dict[str, Any]
    by: User
