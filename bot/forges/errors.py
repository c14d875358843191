"""The codes of what forges refuse, the same for all of them."""

from __future__ import annotations

from typing import Final

from bot.model.errors import Unavailable

AUTH: Final = "GW-FORGE-AUTH"
FORBIDDEN: Final = "GW-FORGE-FORBIDDEN"
FULL: Final = "GW-FORGE-FULL"
INVALID: Final = "GW-FORGE-INVALID"
MERGE: Final = "GW-FORGE-MERGE"
MOVED: Final = "GW-FORGE-MOVED"
NOT_FOUND: Final = "GW-FORGE-NOT-FOUND"
RATE: Final = "GW-FORGE-RATE"
UNAVAILABLE: Final = "GW-FORGE-UNAVAILABLE"

LONGEST_WAIT: Final = 3600.0  # quotas are hourly at most; a longer wait is a proxy's mistake


class RateLimited(Unavailable):
    """A forge asks us to wait; `until` is when, in seconds since the epoch by our clock."""

    def __init__(self, forge: str, doing: str, until: float, wait: float, *, hint: str) -> None:
        super().__init__(
            RATE,
            f"{forge}'s rate limit stops us: {doing}",
            why=f"{forge} asks to wait {wait:.0f} s",
            fix=f"nothing: the work goes on by itself afterwards; {hint}",
        )
        self.until = until
