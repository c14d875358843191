"""One call on its way through the door: counted, recorded, streamed, and honest about what broke."""

from __future__ import annotations

import asyncio
import json
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import pytest

from bot.model.task import Usage
from runners.gateway.server import Gateway
from runners.providers.protocol import Cause, Upstream
from tests.runners.gateway.conftest import ONCE, settled
from tests.runners.recorder import ListRecorder
from tests.simulators.models import Step, Tool
from tests.simulators.models.server import REAL_KEY

HELLO = Step(text="hello there", tokens=(1000, 20), cached=200)


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("path", ["/v1/messages", "/v1/chat/completions"])
async def test_usage_is_counted_priced_and_recorded(bench: Any, path: str, stream: bool) -> None:
    async with bench(HELLO) as b:
        answer = await b.client.post(
            path, json={"model": "claude-test-1", "messages": [], "stream": stream, "tools": [{"name": "x"}]},
            headers={"authorization": f"Bearer {b.door.token}"},
        )  # fmt: skip
        assert answer.status_code == 200
        dear = 800 * 3 + 200 * (0.3 if path == "/v1/messages" else 3) + 20 * 15
        assert b.door.usage == Usage(1, 1000, 20, round(dear))
    [call], [result] = b.recorder.of("model.call"), b.recorder.of("model.result")
    assert (call.data.attempt, call.data.call, call.data.model) == (3, 1, "claude-test-1")
    assert len(call.data.params_sha256) == len(call.data.tools_sha256) == 64
    assert result.outcome == "ok"
    assert (result.data.tokens_in, result.data.tokens_out, result.data.status) == (1000, 20, 200)
    assert json.loads(result.blobs["output"])["content"] == [{"type": "text", "text": "hello there"}]
    assert b.recorder.unpaired() == []


async def test_tool_calls_are_put_together_again_for_the_record(bench: Any) -> None:
    step = Step(
        text="see", tools=(Tool("Write", {"path": "a.py", "content": "x" * 300}), Tool("Bash", {"command": "ls"}))
    )
    for path in ("/v1/messages", "/v1/chat/completions"):
        for stream in (True, False):
            async with bench(step) as b:
                await b.ask(path, stream=stream)
            content = json.loads(b.recorder.of("model.result")[-1].blobs["output"])["content"]
            assert content[0] == {"type": "text", "text": "see"}
            assert [part["tool"] for part in content[1:]] == ["Write", "Bash"]
            assert json.loads(content[1]["arguments"]) == {"path": "a.py", "content": "x" * 300}


async def test_an_unknown_price_is_said_to_be_unknown(bench: Any) -> None:
    async with bench(HELLO, model="other") as b:
        await b.ask(model="other")
        assert b.door.usage == Usage(1, 1000, 20, None)


async def test_a_stream_arrives_piece_by_piece(bench: Any) -> None:
    async with bench(Step(text="a" * 64, pause=0.1)) as b:
        request = {"model": "claude-test-1", "stream": True}
        async with b.client.stream("POST", "/v1/messages", json=request, headers={"x-api-key": b.door.token}) as answer:
            times = [time.monotonic() async for _ in answer.aiter_raw()]
    gaps = [later - earlier for earlier, later in pairwise(times)]
    assert len(times) > 8
    assert sorted(gaps)[len(gaps) // 2] == pytest.approx(0.1, abs=0.05)


async def test_the_call_is_recorded_before_the_model_answers(bench: Any) -> None:
    async with bench(Step(hang="before")) as b:
        asking = asyncio.ensure_future(b.ask())
        await b.asked()
        assert [record.kind for record in b.recorder.records] == ["model.call"]
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
        await settled(b.recorder, 1)
    assert b.recorder.of("model.result")[0].outcome == "cancelled"


@pytest.mark.parametrize("path", ["/v1/messages", "/v1/chat/completions"])
@pytest.mark.parametrize("how", [{"cut": True}, {"broken": True}])
async def test_a_broken_stream_is_broken_for_the_client_and_a_failure_in_the_record(
    bench: Any, path: str, how: Any
) -> None:
    async with bench(Step(text="a" * 100, **how)) as b:
        with pytest.raises(httpx.RemoteProtocolError):
            await b.ask(path, stream=True)
        await settled(b.recorder, 1)
    assert b.recorder.of("model.result")[0].outcome == "fail"
    assert b.recorder.unpaired() == []


@pytest.mark.parametrize("path", ["/v1/messages", "/v1/chat/completions"])
@pytest.mark.parametrize("body", ["<html>proxy error</html>", "{}", '{"content": 7, "choices": 7}'])
async def test_an_answer_that_is_none_is_a_502(bench: Any, path: str, body: str) -> None:
    async with bench(Step(body=body)) as b:
        answer = await b.ask(path)
    assert answer.status_code == 502
    assert b.recorder.of("model.result")[0].outcome == "fail"


@pytest.mark.parametrize("status", [400, 401, 429, 500, 529])
async def test_errors_of_the_api_pass_with_what_the_client_needs(bench: Any, status: int) -> None:
    async with bench(Step(status=status, headers={"retry-after": "7", "x-secret": "1"}), patience=ONCE) as b:
        answer = await b.ask()
    assert answer.status_code == status
    assert answer.json()["error"]["message"] == f"scripted {status}"
    assert answer.headers["retry-after"] == "7"
    assert "x-secret" not in answer.headers
    result = b.recorder.of("model.result")[0]
    assert (result.outcome, result.data.status, result.data.micro_usd) == ("fail", status, 0)


async def test_an_error_that_repeats_the_key_is_cleaned(bench: Any) -> None:
    async with bench(Step(status=401, body={"error": {"message": f"bad key {REAL_KEY}"}})) as b:
        answer = await b.ask()
    assert REAL_KEY not in answer.text
    assert "[key]" in answer.text
    assert REAL_KEY.encode() not in b.recorder.of("model.result")[0].blobs["output"]


async def test_a_wrong_key_of_ours_is_the_apis_401(bench: Any) -> None:
    async with bench(HELLO, upstream={"api_key": "sk-old"}) as b:
        assert (await b.ask()).status_code == 401
    assert len(b.model.refused) == 1


async def test_a_redirect_is_not_followed(bench: Any) -> None:
    async with bench(Step(status=307, headers={"location": "https://elsewhere.example/v1"})) as b:
        answer = await b.ask()
        assert b.door.failure.cause is Cause.CRASH
        assert "base_url" in b.door.failure.fix
    assert answer.status_code == 502
    assert "elsewhere.example" in answer.text
    assert b.recorder.unpaired() == []


async def test_an_upstream_that_is_not_there_is_a_502_that_says_so(directory: Path, recorder: ListRecorder) -> None:
    upstreams = {"anthropic": Upstream("anthropic", "http://127.0.0.1:9", "k")}
    async with Gateway(directory, upstreams, "m", recorder, 1, patience=ONCE) as door:
        transport = httpx.AsyncHTTPTransport(uds=str(door.socket))
        async with httpx.AsyncClient(transport=transport, base_url="http://door") as client:
            answer = await client.post("/v1/messages", json={"model": "m"}, headers={"x-api-key": door.token})
        assert "cannot be reached" in str(door.failure)
    assert answer.status_code == 502
    assert "GW-GATEWAY-UPSTREAM" in answer.json()["error"]["message"]
    assert recorder.of("model.result")[0].outcome == "fail"


@pytest.mark.parametrize("hang", ["before", "mid"])
async def test_a_silent_upstream_ends_in_a_timeout(bench: Any, hang: Any) -> None:
    async with bench(Step(text="a" * 100, hang=hang), idle_seconds=0.3) as b:
        if hang == "before":
            assert (await b.ask(stream=True)).status_code == 504
        else:
            with pytest.raises(httpx.RemoteProtocolError):
                await b.ask(stream=True)
        assert (await asyncio.wait_for(b.door.failed(), 10)).cause is Cause.TIMEOUT
        assert "for 0.3 s" in b.door.failure.what
        await settled(b.recorder, 1)
        assert len(b.model.requests) == 1  # silence is long enough: nobody waits for it twice
    assert b.recorder.of("model.result")[0].outcome == "timeout"


async def test_a_token_count_passes_and_costs_nothing(bench: Any) -> None:
    async with bench() as b:
        answer = await b.ask("/v1/messages/count_tokens")
        assert answer.json() == {"input_tokens": 42}
        assert b.door.usage == Usage(1, 0, 0, 0)
    assert b.recorder.of("model.result")[0].outcome == "ok"


async def test_an_openai_stream_is_asked_for_its_usage(bench: Any) -> None:
    async with bench(HELLO, HELLO) as b:
        await b.ask("/v1/chat/completions", stream=True, stream_options={"x": 1})
        assert b.model.requests[0].body["stream_options"] == {"x": 1, "include_usage": True}
        await b.ask("/v1/chat/completions")
        assert "stream_options" not in b.model.requests[1].body
