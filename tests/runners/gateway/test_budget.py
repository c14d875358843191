"""What an attempt may use, and that it is passed by one call at most."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

import httpx
import pytest

from bot.model.task import Usage
from runners.gateway.budget import Budget, check
from runners.gateway.errors import Denied
from runners.providers.protocol import Cause
from tests.runners.gateway.conftest import settled
from tests.simulators.models import Step

FREE: dict[str, Any] = {"in_flight": 0, "price_known": True, "uncounted": False}


@pytest.mark.parametrize(
    ("budget", "usage", "more", "allowed"),
    [
        (Budget(), Usage(999, 10**9, 10**9, None), {"price_known": False, "uncounted": True}, True),
        (Budget(calls=3), Usage(2), {}, True),
        (Budget(calls=3), Usage(2), {"in_flight": 1}, False),
        (Budget(calls=3), Usage(3), {}, False),
        (Budget(calls=0), Usage(), {}, False),
        (Budget(tokens=100), Usage(1, 90, 9), {}, True),
        (Budget(tokens=100), Usage(1, 90, 10), {}, False),
        (Budget(tokens=100), Usage(1, 9, 9, None), {"price_known": False}, True),
        (Budget(tokens=100), Usage(1, 9, 9), {"uncounted": True}, False),
        (Budget(micro_usd=500), Usage(1, 9, 9, 499), {}, True),
        (Budget(micro_usd=500), Usage(1, 9, 9, 500), {}, False),
        (Budget(micro_usd=500), Usage(), {"price_known": False}, False),
        (Budget(micro_usd=500), Usage(1, 9, 9, None), {}, False),
        (Budget(calls=9), Usage(1), {"uncounted": True, "price_known": False}, True),
    ],
)
def test_a_limit_holds_where_it_can_be_told(budget: Budget, usage: Usage, more: dict[str, Any], allowed: bool) -> None:
    if allowed:
        check(budget, usage, **FREE | more)
        return
    with pytest.raises(Denied) as caught:
        check(budget, usage, **FREE | more)
    assert (caught.value.status, caught.value.code, caught.value.cause) == (403, "GW-GATEWAY-BUDGET", Cause.BUDGET)


@pytest.mark.parametrize(
    ("budget", "served"), [(Budget(tokens=2500), 3), (Budget(micro_usd=6600), 2), (Budget(calls=4), 4)]
)
async def test_calls_at_once_pass_a_limit_by_one_at_most(bench: Any, budget: Budget, served: int) -> None:
    async with bench(Step(text="hello", tokens=(1000, 20), repeat=0), budget=budget) as b:
        answers = await asyncio.gather(*(b.ask(stream=True) for _ in range(8)))
        assert sorted(answer.status_code for answer in answers) == [200] * served + [403] * (8 - served)
        assert len(b.model.requests) == served
    assert b.recorder.unpaired() == []


async def test_a_budget_of_money_needs_a_price(bench: Any) -> None:
    async with bench(Step(text="hello"), prices={}, budget=Budget(micro_usd=10**9)) as b:
        answer = await b.ask()
        assert "price of this model is not known" in answer.json()["error"]["message"]
        assert b.door.spent
    assert not b.model.requests
    assert not b.recorder.records


async def test_an_api_that_does_not_count_gets_no_second_call(bench: Any) -> None:
    body = {"choices": [{"message": {"content": "hello"}, "finish_reason": "stop"}]}
    async with bench(Step(body=body, repeat=0), budget=Budget(tokens=10**9)) as b:
        assert (await b.ask("/v1/chat/completions")).status_code == 200
        assert (await b.ask("/v1/chat/completions")).status_code == 403


@pytest.mark.parametrize(
    ("budget", "bad", "status"),
    [
        (Budget(tokens=900), Step(text="a" * 100, hang="mid"), 403),
        (Budget(tokens=900), Step(hang="before"), 403),
        (Budget(tokens=900), Step(text="a" * 100, cut=True), 403),
        (Budget(micro_usd=2900), Step(text="a" * 100, cut=True), 403),
        (Budget(tokens=2000), Step(text="a" * 100, cut=True), 200),
        (Budget(tokens=900), Step(status=500), 200),
    ],
)
async def test_cutting_an_answer_makes_no_call_free(bench: Any, budget: Budget, bad: Step, status: int) -> None:
    async with bench(bad, Step(text="hello"), budget=budget, idle_seconds=0.3) as b:
        with suppress(httpx.RemoteProtocolError):
            await b.ask("/v1/chat/completions", stream=True, messages=[{"role": "user", "content": "x" * 4000}])
        await settled(b.recorder, 1)
        assert b.door.usage.tokens_in == 0
        assert (await b.ask("/v1/chat/completions", stream=True)).status_code == status
