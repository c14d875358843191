"""A day's budget is shared: what others use counts, what this attempt uses is told, and silence is a refusal."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from bot.model.allowance import Allowance
from bot.model.task import Usage
from runners.providers.protocol import Cause
from tests.runners.gateway.conftest import settled
from tests.simulators.models import Step

HELLO = Step(text="hello", tokens=(1000, 20), repeat=0)
DAY = (Allowance(scope="day", tokens=5000, used=Usage(0, 10**9, 0)),)  # what was used when it was written is stale


class SharedPurse:
    """A purse in memory that can go away."""

    def __init__(self, others: Usage) -> None:
        self.told: list[Usage] = []
        self.used_by_others = others
        self.is_away = False
        self.asked = 0

    async def others(self) -> Usage:
        """Say what others used."""
        self.asked += 1
        self._answer()
        return self.used_by_others

    async def add(self, usage: Usage) -> None:
        """Take what was used."""
        self._answer()
        await asyncio.sleep(0)  # as over a network: others may come in between
        self.told.append(usage)

    def _answer(self) -> None:
        if self.is_away:
            raise OSError("Connection refused")

    @property
    def sum(self) -> Usage:
        """Sum what was told."""
        return sum(self.told, Usage())


async def test_others_are_asked_before_each_call_and_told_after_it(bench: Any) -> None:
    purse = SharedPurse(Usage(3, 1000, 0))
    async with bench(HELLO, allowances=DAY, purse=purse) as b:
        assert (await b.ask()).status_code == 200
        assert (await b.ask()).status_code == 200
        assert purse.asked == 2
        purse.used_by_others = Usage(9, 2960, 0)
        assert (await b.ask()).status_code == 403
        assert b.door.failure.code == "GW-BUDGET-DAY"
    assert purse.sum == b.door.usage == Usage(2, 2000, 40, 6600)
    assert len(b.model.requests) == 2


@pytest.mark.parametrize("away", ["before the first call", "after it"])
async def test_a_purse_that_does_not_answer_stops_the_calls_and_gets_all_of_it_later(bench: Any, away: str) -> None:
    purse = SharedPurse(Usage())
    async with bench(HELLO, allowances=DAY, purse=purse) as b:
        if away == "after it":
            assert (await b.ask()).status_code == 200
        purse.is_away = True
        refused = await b.ask()
        assert refused.status_code == 503
        assert "GW-GATEWAY-PURSE" in refused.text
        assert b.door.failure is None  # it may come back
        assert (b.door.last_error.cause, b.door.last_error.code) == (Cause.BUDGET, "GW-GATEWAY-PURSE")
        purse.is_away = False
        assert (await b.ask()).status_code == 200
    assert purse.sum == b.door.usage
    assert b.recorder.unpaired() == []


async def test_without_a_day_limit_the_purse_is_told_and_not_asked(bench: Any) -> None:
    purse = SharedPurse(Usage())
    async with bench(HELLO, allowances=(Allowance(scope="day"),), purse=purse) as b:
        await asyncio.gather(*(b.ask() for _ in range(12)))
        purse.is_away = True
        assert (await b.ask()).status_code == 200
        purse.is_away = False
    assert purse.asked == 0
    assert purse.sum == b.door.usage == Usage(13, 13_000, 260, 13 * 3300)


async def test_a_client_that_hangs_up_is_counted_once(bench: Any) -> None:
    purse = SharedPurse(Usage())
    async with bench(Step(hang="before"), allowances=DAY, purse=purse) as b:
        asking = asyncio.ensure_future(b.ask(messages=[{"role": "user", "content": "x" * 4000}]))
        await b.asked()
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        await settled(b.recorder, 1)
    assert purse.sum.calls == 1
    assert purse.sum.tokens_in > 1000  # an estimate: the answer came to nothing, and was paid for
