"""What an account may do in a repository."""

from __future__ import annotations

from enum import StrEnum


class Role(StrEnum):
    """The roles forges share, weakest first; each forge's file maps its own words to these."""

    NONE = "none"
    READ = "read"
    TRIAGE = "triage"
    WRITE = "write"
    MAINTAIN = "maintain"
    ADMIN = "admin"

    def at_least(self, other: Role) -> bool:
        """Compare by strength."""
        ranks = list(Role)
        return ranks.index(self) >= ranks.index(other)
