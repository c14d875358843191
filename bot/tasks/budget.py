"""Settings, task and day -> what one attempt may use, or why there must be none; pure."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final

import msgspec

from bot.model.allowance import Allowance, Scope
from bot.model.errors import Refused
from bot.model.task import Task, Usage
from bot.reports.tables import table
from bot.reports.views import Caps
from bot.settings import Budget

MINUTE_MS: Final = 60_000
CODES: Final[dict[Scope, str]] = {"task": "GW-BUDGET-TASK", "day": "GW-BUDGET-DAY"}


class Today(msgspec.Struct, frozen=True):
    """What this instance used on one day (UTC) so far; `ms` is the wall clock of the attempts begun on it."""

    usage: Usage = Usage()
    ms: int = 0


class Means(msgspec.Struct, frozen=True):
    """What an attempt may use; `wall_scope` says whose limit its wall clock is."""

    allowances: tuple[Allowance, ...]
    wall_seconds: float
    wall_scope: Scope = "attempt"


def day_of(ms: int) -> str:
    """Name the UTC date of a moment, YYYY-MM-DD."""
    return datetime.fromtimestamp(ms / 1000, UTC).date().isoformat()


def worked_ms(task: Task, now_ms: int) -> int:
    """Sum the wall clock of the attempts that ask models; deliveries are never held up for their time."""
    return sum(attempt.worked(now_ms) for attempt in task.attempts if attempt.step.phase)


def means(budget: Budget, task: Task, today: Today, now_ms: int) -> Means:
    """Put together what the next attempt may use.

    Raises Refused (GW-BUDGET-TASK, GW-BUDGET-DAY) where something is used up already.
    """
    found = (
        allowance(budget, "attempt", Usage()),
        allowance(budget, "task", task.usage),
        allowance(budget, "day", today.usage),
    )
    for each in found:
        for refused in _used_up(each):
            raise refused
    left: list[tuple[int, Scope]] = [(budget.phase_minutes * MINUTE_MS, "attempt")]
    clocks: tuple[tuple[Scope, int, int], ...] = (
        ("task", budget.task_minutes, worked_ms(task, now_ms)),
        ("day", budget.day_minutes, today.ms),
    )
    for scope, minutes, spent in clocks:
        if minutes and spent >= minutes * MINUTE_MS:
            raise _refused(scope, "minutes", limit=f"{minutes:,}", used=f"{spent // MINUTE_MS:,}")
        if minutes:
            left.append((minutes * MINUTE_MS - spent, scope))
    wall_ms, wall_scope = min(left, key=lambda one: one[0])
    return Means(tuple(each for each in found if each.is_limited), wall_ms / 1000, wall_scope)


def allowance(budget: Budget, scope: Scope, used: Usage) -> Allowance:
    """Read the limits of one scope; money becomes micro-USD."""
    tokens, calls, usd = (getattr(budget, f"{scope}_{what}") for what in ("tokens", "calls", "usd"))
    micro_usd = max(round(usd * 1_000_000), 1) if usd else None
    return Allowance(scope=scope, tokens=tokens or None, calls=calls or None, micro_usd=micro_usd, used=used)


def caps(budget: Budget) -> Caps:
    """Take what one task may use, for texts."""
    limit = allowance(budget, "task", Usage())
    return Caps(limit.tokens, limit.calls, limit.micro_usd, budget.task_minutes or None)


def _used_up(limit: Allowance) -> Iterator[Refused]:
    used, scope = limit.used, limit.scope
    if limit.calls is not None and used.calls >= limit.calls:
        yield _refused(scope, "calls", limit=f"{limit.calls:,}", used=f"{used.calls:,}")
    if limit.tokens is not None and used.tokens >= limit.tokens:
        yield _refused(scope, "tokens", limit=f"{limit.tokens:,}", used=f"{used.tokens:,}")
    if limit.micro_usd is None:
        return
    if used.micro_usd is None:
        yield _refused(scope, "past")
    elif used.micro_usd >= limit.micro_usd:
        yield _refused(scope, "usd", limit=_usd(limit.micro_usd), used=_usd(used.micro_usd))


def _refused(scope: Scope, unit: str, **values: str) -> Refused:
    texts = table("budgets")
    what: str = texts["budget"][unit].format(scope=texts["scope"][scope], **values)
    fix: str = texts["past" if unit == "past" else "more"][scope].format(unit=unit)
    return Refused(CODES[scope], what, fix=fix)


def _usd(micro: int) -> str:
    return f"{micro / 1_000_000:,.2f}" if micro >= 10_000 else f"{micro / 1_000_000:.6f}"
