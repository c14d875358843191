"""The tries of one call, as the client, the model and the record see them."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import httpx
import pytest

from runners.gateway.retry import Patience
from runners.providers.protocol import Cause, Limits
from tests.runners.gateway.conftest import settled
from tests.simulators.models import Step

HELLO = Step(text="hello", tokens=(1000, 20), repeat=0)


async def test_the_wait_that_the_api_asks_for_is_kept_and_bounded(bench: Any) -> None:
    steps = [Step(status=429, headers={"retry-after-ms": "300"}), Step(status=429, headers={"retry-after": "3600"})]
    async with bench(*steps, HELLO, patience=Patience(first_seconds=9, max_seconds=0.5)) as b:
        began = time.monotonic()
        assert (await b.ask()).status_code == 200
        assert 0.8 <= time.monotonic() - began < 5
        assert b.door.failure is None


async def test_a_connection_that_drops_is_made_again(bench: Any) -> None:
    async with bench(Step(text="a" * 100, cut=True), HELLO) as b:
        assert (await b.ask()).status_code == 200
        assert len(b.model.requests) == 2
    assert [one.outcome for one in b.recorder.of("model.result")] == ["fail", "ok"]


async def test_no_try_is_made_once_the_client_has_a_byte(bench: Any) -> None:
    async with bench(Step(text="a" * 100, cut=True), HELLO) as b:
        with pytest.raises(httpx.RemoteProtocolError):
            await b.ask(stream=True)
        await settled(b.recorder, 1)
        assert len(b.model.requests) == 1


async def test_a_quota_that_is_used_up_is_not_asked_again(bench: Any) -> None:
    body = {"error": {"message": "You exceeded your current quota", "type": "x", "code": "insufficient_quota"}}
    async with bench(Step(status=429, body=body), HELLO) as b:
        assert (await b.ask("/v1/chat/completions")).status_code == 429
        assert len(b.model.requests) == 1
        assert b.door.failure.cause is Cause.QUOTA


async def test_a_client_that_hung_up_is_not_tried_for(bench: Any) -> None:
    async with bench(Step(status=500, repeat=0), patience=Patience(first_seconds=0.3)) as b:
        asking = asyncio.ensure_future(b.ask())
        await settled(b.recorder, 1)
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        await asyncio.sleep(0.8)
        assert len(b.model.requests) == 1
        assert b.door.failure is None
    assert b.recorder.unpaired() == []


async def test_a_run_that_fails_meanwhile_is_not_tried_for(bench: Any) -> None:
    steps = [Step(status=500, when="first."), Step(status=401, when="second."), HELLO]
    async with bench(*steps, patience=Patience(first_seconds=0.5)) as b:
        with b.door.begin(Limits()):
            first = asyncio.ensure_future(b.ask(messages=[{"role": "user", "content": "first."}]))
            await settled(b.recorder, 1)
            assert (await b.ask(messages=[{"role": "user", "content": "second."}])).status_code == 401
            assert (await first).status_code == 403
    assert len(b.model.requests) == 2


@pytest.mark.parametrize("path", ["/v1/messages/count_tokens", "/api/show", "/api/tags"])
async def test_what_asks_no_model_is_tried_twice_and_ends_no_run(bench: Any, path: str) -> None:
    async with bench() as b:
        b.model.down = 2
        headers = {"authorization": f"Bearer {b.door.token}"}
        method = "GET" if path == "/api/tags" else "POST"
        answer = await b.client.request(method, path, json={"model": "claude-test-1"}, headers=headers)
        assert answer.status_code == 503
        assert b.door.failure is None
        assert b.door.last_error is None
        b.model.down = 1
        answer = await b.client.request(method, path, json={"model": "claude-test-1"}, headers=headers)
        assert answer.status_code == 200
    assert b.recorder.unpaired() == []
    assert len(b.recorder.of("model.call")) == 4
