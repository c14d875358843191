"""What one attempt may use: decided before each call, from what was counted so far."""

from __future__ import annotations

import msgspec

from bot.model.task import Usage
from runners.gateway.errors import Denied
from runners.providers.protocol import Cause


class Budget(msgspec.Struct, frozen=True):
    """Limits of one attempt; None is no limit."""

    tokens: int | None = None  # in and out together
    calls: int | None = None
    micro_usd: int | None = None

    @property
    def one_at_a_time(self) -> bool:
        """Tell whether calls must wait for each other: what a call uses is known at its end only."""
        return self.tokens is not None or self.micro_usd is not None


def check(budget: Budget, usage: Usage, *, in_flight: int, price_known: bool, uncounted: bool) -> None:
    """Raise Denied where the next call must not be made; a limit is passed by one call at most.

    `uncounted` says that an answer came without its usage, which no limit of tokens or money can go by.
    """
    if budget.calls is not None and usage.calls + in_flight >= budget.calls:
        raise _spent(f"the budget of {budget.calls} calls is used up")
    if uncounted and budget.one_at_a_time:
        raise _spent("the model's API does not say what its answers use, so that no limit could be kept")
    used = usage.tokens_in + usage.tokens_out
    if budget.tokens is not None and used >= budget.tokens:
        raise _spent(f"the budget of {budget.tokens} tokens is used up ({used})")
    if budget.micro_usd is None:
        return
    if not price_known or usage.micro_usd is None:
        raise _spent("the price of this model is not known, so that no limit of money could be kept")
    if usage.micro_usd >= budget.micro_usd:
        raise _spent(f"the budget of {budget.micro_usd / 1e6:.2f} USD is used up ({usage.micro_usd / 1e6:.2f})")


def _spent(why: str) -> Denied:
    return Denied(403, "BUDGET", why, cause=Cause.BUDGET)  # 403: runtimes try again after 429
