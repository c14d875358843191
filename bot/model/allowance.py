"""What models may be used for, and what was used before: the limits that go with an order."""

from __future__ import annotations

from typing import Literal

import msgspec

from bot.model.task import Usage

Scope = Literal["attempt", "task", "day"]


class Allowance(msgspec.Struct, frozen=True, kw_only=True):
    """Limits of one scope; None is no limit. What the attempt itself uses counts on top of `used`."""

    scope: Scope
    tokens: int | None = None  # in and out together
    calls: int | None = None
    micro_usd: int | None = None
    used: Usage = Usage()  # in this scope when the order was written; a day's is read anew before each call

    @property
    def is_limited(self) -> bool:
        """Tell whether there is any limit."""
        return (self.tokens, self.calls, self.micro_usd) != (None, None, None)
