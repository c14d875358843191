"""What an attempt may use, alone and together with others: decided before each call, from what was counted so far."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, Protocol

from bot.model.allowance import Allowance, Scope
from bot.model.task import Usage
from runners.gateway.errors import Denied
from runners.gateway.texts import budget_words
from runners.providers.errors import ProviderError
from runners.providers.protocol import Cause

CODES: Final[dict[Scope, str]] = {"attempt": "GW-BUDGET-ATTEMPT", "task": "GW-BUDGET-TASK", "day": "GW-BUDGET-DAY"}


class Purse(Protocol):
    """What a day's attempts use together; kept where all workers see it."""

    async def others(self) -> Usage:
        """Sum what all other attempts have used of the day by now."""

    async def add(self, usage: Usage) -> None:
        """Add what this attempt has used since it was last told; estimates of cut answers included."""


def is_one_at_a_time(allowances: Iterable[Allowance]) -> bool:
    """Tell whether calls must wait for each other: what a call uses is known at its end only."""
    return any(one.tokens is not None or one.micro_usd is not None for one in allowances)


def check(allowances: Iterable[Allowance], own: Usage, *, in_flight: int, price_known: bool, uncounted: bool) -> None:
    """Raise Denied where the next call must not be made; a limit is passed by one call at most.

    `own` comes on top of what each allowance says was used; `uncounted` says that an answer came without its usage,
    which no limit of tokens or money can go by.
    """
    for allowance in allowances:
        used = allowance.used + own
        if allowance.calls is not None and used.calls + in_flight >= allowance.calls:
            raise _over(allowance, "calls", limit=f"{allowance.calls:,}", used=f"{used.calls + in_flight:,}")
        if uncounted and is_one_at_a_time((allowance,)):
            raise _over(allowance, "uncounted")
        tokens = used.tokens_in + used.tokens_out
        if allowance.tokens is not None and tokens >= allowance.tokens:
            raise _over(allowance, "tokens", limit=f"{allowance.tokens:,}", used=f"{tokens:,}")
        if allowance.micro_usd is not None:
            _check_money(allowance, allowance.micro_usd, used.micro_usd if price_known else None)


def _check_money(allowance: Allowance, limit: int, used: int | None) -> None:
    if used is None:
        raise _over(allowance, "unpriced")
    if used >= limit:
        raise _over(allowance, "usd", limit=f"{limit / 1e6:.2f}", used=f"{used / 1e6:.2f}")


def _over(allowance: Allowance, unit: str, **values: str) -> Denied:
    what, fix = budget_words(allowance.scope, unit, **values)
    error = ProviderError(Cause.BUDGET, what, fix=fix, code=CODES[allowance.scope])
    return Denied(403, "BUDGET", what, failure=error)  # 403: runtimes try again after 429
