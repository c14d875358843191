"""What an attempt, a task and a day may use, and that it is passed by one call at most."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

import httpx
import pytest

from bot.model.allowance import Allowance, Scope
from bot.model.task import Usage
from runners.gateway.budget import check
from runners.gateway.errors import Denied
from runners.providers.protocol import Cause, Limits
from tests.runners.gateway.conftest import ONCE, settled
from tests.simulators.models import Step

FREE: dict[str, Any] = {"in_flight": 0, "price_known": True, "uncounted": False}


def limit(scope: Scope = "attempt", **limits: Any) -> Allowance:
    """Limit one scope."""
    return Allowance(scope=scope, **limits)


@pytest.mark.parametrize("before", [False, True])
@pytest.mark.parametrize(
    ("allowance", "usage", "more", "allowed"),
    [
        (limit(), Usage(999, 10**9, 10**9, None), {"price_known": False, "uncounted": True}, True),
        (limit(calls=3), Usage(2), {}, True),
        (limit(calls=3), Usage(2), {"in_flight": 1}, False),
        (limit(calls=3), Usage(3), {}, False),
        (limit(calls=0), Usage(), {}, False),
        (limit(tokens=100), Usage(1, 90, 9), {}, True),
        (limit(tokens=100), Usage(1, 90, 10), {}, False),
        (limit(tokens=100), Usage(1, 9, 9, None), {"price_known": False}, True),
        (limit(tokens=100), Usage(1, 9, 9), {"uncounted": True}, False),
        (limit(micro_usd=500), Usage(1, 9, 9, 499), {}, True),
        (limit(micro_usd=500), Usage(1, 9, 9, 500), {}, False),
        (limit(micro_usd=500), Usage(), {"price_known": False}, False),
        (limit(micro_usd=500), Usage(1, 9, 9, None), {}, False),
        (limit(calls=9), Usage(1), {"uncounted": True, "price_known": False}, True),
    ],
)
def test_a_limit_holds_where_it_can_be_told(
    allowance: Allowance, usage: Usage, more: dict[str, Any], allowed: bool, before: bool
) -> None:
    own = usage
    if before:  # the same was used by attempts before this one
        allowance, own = limit(
            tokens=allowance.tokens, calls=allowance.calls, micro_usd=allowance.micro_usd, used=usage
        ), Usage()  # fmt: skip
    if allowed:
        check([limit("task"), allowance], own, **FREE | more)
        return
    with pytest.raises(Denied) as caught:
        check([limit("task"), allowance], own, **FREE | more)
    assert (caught.value.status, caught.value.code) == (403, "GW-GATEWAY-BUDGET")
    assert caught.value.failure
    assert caught.value.failure.cause is Cause.BUDGET


@pytest.mark.parametrize(
    ("allowance", "code", "what", "fix"),
    [
        (
            limit("task", micro_usd=2_000_000, used=Usage(7, 1, 1, 1_030_000)), "GW-BUDGET-TASK",
            "the task's budget of 2.00 USD is used up (2.03)", "Raise budget.task_usd, then `retry`",
        ),
        (
            limit("day", tokens=1_000_000, used=Usage(9, 999_999, 1)), "GW-BUDGET-DAY",
            "the day's budget of 1,000,000 tokens is used up (1,000,150)", "after 00:00 UTC",
        ),
        (limit(calls=1), "GW-BUDGET-ATTEMPT", "this attempt's budget of 1 calls is used up (1)", "`retry` gives a new"),
    ],
)  # fmt: skip
def test_people_are_told_which_budget_and_how_to_go_on(allowance: Allowance, code: str, what: str, fix: str) -> None:
    with pytest.raises(Denied) as caught:
        check([limit("attempt", calls=9), allowance], Usage(1, 100, 50, 1_000_000), **FREE)
    failure = caught.value.failure
    assert failure
    assert (failure.code, failure.what, caught.value.what) == (code, what, what)
    assert fix in failure.fix


@pytest.mark.parametrize(
    ("allowance", "served"),
    [
        (limit(tokens=2500), 3), (limit(micro_usd=6600), 2), (limit(calls=4), 4),
        (limit("task", tokens=2500, used=Usage(5, 1500, 0)), 1),
    ],
)  # fmt: skip
async def test_calls_at_once_pass_a_limit_by_one_at_most(bench: Any, allowance: Allowance, served: int) -> None:
    async with bench(Step(text="hello", tokens=(1000, 20), repeat=0), allowances=(allowance,)) as b:
        answers = await asyncio.gather(*(b.ask(stream=True) for _ in range(8)))
        assert sorted(answer.status_code for answer in answers) == [200] * served + [403] * (8 - served)
        assert len(b.model.requests) == served
    assert b.recorder.unpaired() == []


async def test_the_tries_of_one_call_use_the_budget_like_any_other(bench: Any) -> None:
    async with bench(Step(status=500, repeat=0), allowances=(limit(calls=2),)) as b:
        answer = await b.ask()
        assert answer.status_code == 403
        assert b.door.failure.code == "GW-BUDGET-ATTEMPT"
        assert len(b.model.requests) == 2
    assert b.recorder.unpaired() == []


async def test_a_budget_that_is_used_up_stays_so_in_the_next_run(bench: Any) -> None:
    async with bench(Step(text="hello", repeat=0), allowances=(limit("task", calls=1),)) as b:
        with b.door.begin(Limits()):
            assert [(await b.ask()).status_code for _ in range(2)] == [200, 403]
        with b.door.begin(Limits()):
            assert b.door.failure.code == "GW-BUDGET-TASK"
            assert await b.door.failed() is b.door.failure


async def test_a_budget_of_money_needs_a_price(bench: Any) -> None:
    async with bench(Step(text="hello"), prices={}, allowances=(limit(micro_usd=10**9),)) as b:
        answer = await b.ask()
        assert "price of this model is not known" in answer.json()["error"]["message"]
        assert "prices" in b.door.failure.fix
    assert not b.model.requests
    assert not b.recorder.records


async def test_an_api_that_does_not_count_gets_no_second_call(bench: Any) -> None:
    body = {"choices": [{"message": {"content": "hello"}, "finish_reason": "stop"}]}
    async with bench(Step(body=body, repeat=0), allowances=(limit(tokens=10**9),)) as b:
        assert (await b.ask("/v1/chat/completions")).status_code == 200
        assert (await b.ask("/v1/chat/completions")).status_code == 403


@pytest.mark.parametrize(
    ("allowance", "bad", "status"),
    [
        (limit(tokens=900), Step(text="a" * 100, hang="mid"), 403),
        (limit(tokens=900), Step(hang="before"), 403),
        (limit(tokens=900), Step(text="a" * 100, cut=True), 403),
        (limit(micro_usd=2900), Step(text="a" * 100, cut=True), 403),
        (limit(tokens=2000), Step(text="a" * 100, cut=True), 200),
        (limit(tokens=900), Step(status=500), 200),
    ],
)
async def test_cutting_an_answer_makes_no_call_free(bench: Any, allowance: Allowance, bad: Step, status: int) -> None:
    async with bench(bad, Step(text="hello"), allowances=(allowance,), idle_seconds=0.3, patience=ONCE) as b:
        with suppress(httpx.RemoteProtocolError):
            await b.ask("/v1/chat/completions", stream=True, messages=[{"role": "user", "content": "x" * 4000}])
        await settled(b.recorder, 1)
        assert b.door.usage.tokens_in == 0
        with b.door.begin(Limits()):
            assert (await b.ask("/v1/chat/completions", stream=True)).status_code == status
