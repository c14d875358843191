"""One run of a provider at its door: turns, what ends it, and what it gets over."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

from runners.providers.protocol import Cause, Limits
from tests.simulators.models import Step

HELLO = Step(text="hello", tokens=(1000, 20), repeat=0)


async def test_as_many_turns_as_allowed_pass_and_the_next_one_ends_the_run(bench: Any) -> None:
    async with bench(Step(status=500), HELLO) as b:
        with b.door.begin(Limits(turns=3)):
            assert [(await b.ask()).status_code for _ in range(3)] == [200] * 3  # a try that failed is no turn
            assert (await b.ask("/v1/messages/count_tokens")).status_code == 200  # nor is what asks no model
            assert not b.door.failure
            refused = await b.ask()
            assert refused.status_code == 403
            assert "not done after 3 turns [GW-GATEWAY-BUDGET]" in refused.text
            assert (b.door.failure.cause, b.door.failure.code) == (Cause.BUDGET, "GW-MODEL-BUDGET")
            assert "budget.turns" in b.door.failure.fix
        with b.door.begin(Limits(turns=1)):
            assert b.door.failure is None  # the next run has turns of its own
            assert (await b.ask()).status_code == 200


async def test_a_run_that_has_failed_is_told_so_at_once_and_the_next_begins_anew(bench: Any) -> None:
    async with bench(Step(status=401), HELLO) as b:
        with b.door.begin(Limits()):
            waiting = asyncio.ensure_future(b.door.failed())
            assert (await b.ask()).status_code == 401
            failure = await asyncio.wait_for(waiting, 10)
            assert failure is b.door.failure
            assert failure.cause is Cause.AUTH
            for path in ("/v1/messages", "/v1/messages/count_tokens", "/v1/chat/completions"):
                answer = await b.ask(path)
                assert (answer.status_code, answer.headers["x-should-retry"]) == (403, "false")
        assert len(b.model.requests) == 1
        assert b.door.failure is failure  # still known when the run is over
        with b.door.begin(Limits()):
            assert b.door.failure is None
            assert (await b.ask()).status_code == 200


@pytest.mark.parametrize(
    ("status", "message", "cause"),
    [
        (400, "prompt is too long: 210000 tokens > 200000 maximum", Cause.CONTEXT),
        (400, "tools: Input should be a valid list", Cause.ANSWER),
        (400, "Output blocked by content filtering policy", Cause.REFUSAL),
    ],
)
async def test_what_a_runtime_can_get_over_ends_no_run_but_is_remembered(
    bench: Any, status: int, message: str, cause: Cause
) -> None:
    body = {"type": "error", "error": {"type": "invalid_request_error", "message": message}}
    async with bench(Step(status=status, body=body), HELLO) as b:
        assert (await b.ask()).status_code == status
        assert b.door.failure is None
        assert (b.door.last_error.cause, b.door.last_error.why) == (cause, message)
        assert len(b.model.requests) == 1
        assert (await b.ask()).status_code == 200
        assert b.door.last_error is None  # it was got over


async def test_an_answer_that_is_a_refusal_is_remembered(bench: Any) -> None:
    async with bench(Step(text="no", stop="refusal")) as b:
        assert (await b.ask(stream=True)).status_code == 200
        assert b.door.failure is None
        assert b.door.last_error.cause is Cause.REFUSAL


async def test_three_broken_streams_in_a_row_end_the_run_and_two_do_not(bench: Any) -> None:
    cut = Step(text="a" * 100, cut=True)
    async with bench(cut, cut, HELLO) as b:
        for _ in range(2):
            with pytest.raises(httpx.RemoteProtocolError):
                await b.ask(stream=True)
        assert b.door.last_error.cause is Cause.CRASH
        assert (await b.ask(stream=True)).status_code == 200
    once = Step(text="hello")
    async with bench(cut, once, cut, cut, cut, HELLO) as b:
        for step in (cut, once, cut, cut, cut):
            assert b.door.failure is None
            if step is cut:
                with pytest.raises(httpx.RemoteProtocolError):
                    await b.ask(stream=True)
            else:
                await b.ask(stream=True)
        assert (await asyncio.wait_for(b.door.failed(), 10)).cause is Cause.CRASH
        assert (await b.ask()).status_code == 403


async def test_what_a_stream_says_went_wrong_counts_more_than_that_it_broke(bench: Any) -> None:
    said = '{"type":"error","error":{"type":"authentication_error","message":"API key expired"}}'
    sent = f"event: error\ndata: {said}\n\n"
    async with bench(Step(body=sent, headers={"content-type": "text/event-stream"})) as b:
        with pytest.raises(httpx.RemoteProtocolError):
            await b.ask(stream=True)
        assert (await asyncio.wait_for(b.door.failed(), 10)).cause is Cause.AUTH


async def test_a_run_has_its_own_patience_with_a_silent_model(bench: Any) -> None:
    async with bench(Step(hang="before"), HELLO, idle_seconds=30) as b:
        with b.door.begin(Limits(idle_seconds=0.2)):
            assert (await b.ask()).status_code == 504
            assert b.door.failure.cause is Cause.TIMEOUT
            assert "for 0.2 s" in b.door.failure.what


async def test_the_door_is_busy_while_a_model_is_asked_and_not_after(bench: Any) -> None:
    async with bench(Step(hang="before"), HELLO) as b:
        assert not b.door.busy
        asking = asyncio.ensure_future(b.ask())
        await b.asked()
        assert b.door.busy
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        async with asyncio.timeout(10):
            while b.door.busy:
                await asyncio.sleep(0.01)


async def test_another_model_can_stand_in_and_what_was_used_still_counts(bench: Any) -> None:
    async with bench(HELLO) as b:
        assert (await b.ask()).status_code == 200
        b.door.reroute({"anthropic": b.upstream}, "claude-test-2", {})
        assert (await b.ask()).status_code == 403
        assert (await b.ask(model="claude-test-2")).status_code == 200
        assert (b.door.usage.calls, b.door.usage.micro_usd) == (2, None)
        assert (await b.ask("/v1/chat/completions", model="claude-test-2")).status_code == 403  # not its dialect
