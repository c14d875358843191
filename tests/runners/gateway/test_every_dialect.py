"""The same good and bad days over every dialect."""

from __future__ import annotations

import json
import time
from itertools import pairwise
from typing import Any

import httpx
import pytest

from bot.model.task import Usage
from runners.gateway.budget import Budget
from runners.gateway.dialect import TEXT_MAX
from runners.providers.protocol import Cause
from tests.runners.gateway.conftest import settled
from tests.runners.gateway.wires import MODEL, WIRES, Wire, message
from tests.simulators.models import Step, Tool
from tests.simulators.models.server import REAL_KEY

each = pytest.mark.parametrize("wire", WIRES, ids=[wire.name for wire in WIRES])
STREAMING = [wire for wire in WIRES if wire.streams]
each_stream = pytest.mark.parametrize("wire", STREAMING, ids=[wire.name for wire in STREAMING])
HELLO = Step(text="hello there", tools=(Tool("Write", {"path": "a.py"}),), tokens=(1000, 20))


async def ask(b: Any, wire: Wire, model: str = MODEL) -> httpx.Response:
    """Ask as the wire's runtime does."""
    answer = await b.client.post(wire.target(model), json=wire.fields(model), headers=wire.auth(b.door.token))
    assert isinstance(answer, httpx.Response)
    return answer


@each
async def test_an_answer_is_carried_counted_and_recorded_and_the_key_stays_in_its_header(
    bench: Any, wire: Wire
) -> None:
    async with bench(HELLO) as b:
        answer = await ask(b, wire)
        assert answer.status_code == 200
        assert "Write" in answer.text or wire.dialect == "bedrock"
        assert b.door.usage == Usage(1, 1000, 20, 3300)
    [seen] = b.model.requests
    assert seen.target == wire.target()
    assert b.door.token not in json.dumps([seen.headers, seen.body])
    if wire.dialect == "bedrock":
        assert REAL_KEY not in json.dumps(seen.headers)
    else:
        assert [name for name, value in seen.headers.items() if REAL_KEY in value] == [wire.header]
    [call], [result] = b.recorder.of("model.call"), b.recorder.of("model.result")
    assert (call.data.provider, call.data.model, result.outcome) == (wire.dialect, MODEL, "ok")
    said, written = json.loads(result.blobs["output"])["content"]
    assert said == {"type": "text", "text": "hello there"}
    assert (written["tool"], json.loads(written["arguments"])) == ("Write", {"path": "a.py"})


@each
async def test_an_error_of_the_api_passes_as_it_is_but_for_the_key(bench: Any, wire: Wire) -> None:
    body = {"error": {"message": f"no: {REAL_KEY}"}}
    statuses = (401, 404, 429, 500)
    async with bench(*(Step(status=status, headers={"retry-after": "7"}, body=body) for status in statuses)) as b:
        for status in statuses:
            answer = await ask(b, wire)
            assert (answer.status_code, answer.headers["retry-after"]) == (status, "7")
            assert answer.json() == {"error": {"message": "no: [key]"}}
    for result, status in zip(b.recorder.of("model.result"), statuses, strict=True):
        assert (result.outcome, result.data.status, result.data.micro_usd) == ("fail", status, 0)
        assert REAL_KEY.encode() not in result.blobs["output"]


@each
async def test_trying_again_is_left_to_the_runtime(bench: Any, wire: Wire) -> None:
    async with bench(Step(status=429), HELLO, Step(status=429, repeat=0)) as b:
        statuses = [(await ask(b, wire)).status_code for _ in range(4)]
        assert statuses == [429, 200, 429, 429]
        assert len(b.model.requests) == 4
    assert [one.outcome for one in b.recorder.of("model.result")] == ["fail", "ok", "fail", "fail"]
    assert b.recorder.unpaired() == []


@each
async def test_a_cut_answer_is_no_answer(bench: Any, wire: Wire) -> None:
    async with bench(Step(text="a" * 100, cut=True)) as b:
        if wire.streams:
            with pytest.raises(httpx.RemoteProtocolError):
                await ask(b, wire)
        else:
            assert "GW-GATEWAY-UPSTREAM" in message(wire.dialect, (await ask(b, wire)).json())
        await settled(b.recorder, 1)
    assert b.recorder.of("model.result")[0].outcome == "fail"
    assert b.recorder.unpaired() == []


@each_stream
async def test_an_error_within_a_stream_breaks_it(bench: Any, wire: Wire) -> None:
    async with bench(Step(text="a" * 100, broken=True)) as b:
        with pytest.raises(httpx.RemoteProtocolError):
            await ask(b, wire)
        await settled(b.recorder, 1)
    assert b.recorder.of("model.result")[0].outcome == "fail"


@each_stream
async def test_a_silent_stream_ends_within_its_clock(bench: Any, wire: Wire) -> None:
    async with bench(Step(text="a" * 100, hang="mid"), idle_seconds=0.2) as b:
        with pytest.raises(httpx.RemoteProtocolError):
            await ask(b, wire)
        await settled(b.recorder, 1)
    assert b.recorder.of("model.result")[0].outcome == "timeout"


@each
async def test_an_answer_that_is_none_of_the_dialects_is_never_a_success(bench: Any, wire: Wire) -> None:
    bodies = ("<html>proxy error</html>", "{}", "[]", '{"choices": 7, "candidates": 7, "done": 7}')
    async with bench(*(Step(body=body) for body in bodies)) as b:
        for _ in bodies:
            if wire.name == "gemini-array":  # had begun before it could be known
                with pytest.raises(httpx.RemoteProtocolError):
                    await ask(b, wire)
            else:
                assert (await ask(b, wire)).status_code == 502
        await settled(b.recorder, len(bodies))
    assert {result.outcome for result in b.recorder.of("model.result")} == {"fail"}


@each_stream
async def test_a_stream_of_garbage_is_broken(bench: Any, wire: Wire) -> None:
    async with bench(Step(body=wire.garbage, headers={"content-type": wire.content_type})) as b:
        with pytest.raises(httpx.RemoteProtocolError):
            await ask(b, wire)
        await settled(b.recorder, 1)
    assert b.recorder.of("model.result")[0].outcome == "fail"


@each
async def test_thirty_megabytes_are_carried_or_broken_and_never_kept(bench: Any, wire: Wire) -> None:
    async with bench(Step(text="x" * (30 << 20), tokens=(1000, 20))) as b:
        if wire.name.endswith("responses-stream"):  # its last event repeats the whole answer
            with pytest.raises(httpx.RemoteProtocolError):
                await ask(b, wire)
        else:
            assert len((await ask(b, wire)).content) > 30 << 20
        await settled(b.recorder, 1)
    [result] = b.recorder.of("model.result")
    assert result.outcome == ("fail" if wire.name.endswith("responses-stream") else "ok")
    assert len(result.blobs["output"]) < TEXT_MAX + 1000


@each_stream
async def test_every_chunk_passes_when_it_comes(bench: Any, wire: Wire) -> None:
    async with bench(Step(text="a" * 40, pause=0.05)) as b:
        request = b.client.stream("POST", wire.target(), json=wire.fields(), headers=wire.auth(b.door.token))
        async with request as answer:
            times = [time.monotonic() async for _ in answer.aiter_raw()]
    assert sum(later - earlier > 0.03 for earlier, later in pairwise(times)) >= 5


@each
async def test_another_model_is_refused_in_the_dialects_own_words(bench: Any, wire: Wire) -> None:
    async with bench(HELLO) as b:
        answer = await ask(b, wire, "dear-model-9")
    assert answer.status_code == 403
    assert "GW-GATEWAY-MODEL" in message(wire.dialect, answer.json())
    assert not b.model.requests
    assert not b.recorder.records


@each
async def test_a_model_in_the_body_is_checked_even_where_the_path_names_one(bench: Any, wire: Wire) -> None:
    async with bench(HELLO) as b:
        fields = wire.fields() | {"model": "dear-model-9"}
        answer = await b.client.post(wire.target(), json=fields, headers=wire.auth(b.door.token))
    assert answer.status_code == 403
    assert not b.model.requests


@each
async def test_another_path_or_query_is_refused(bench: Any, wire: Wire) -> None:
    async with bench(HELLO) as b:
        for change in ("/x{}", "{}/x", "/%2e{}", "{}%2fx", "/v1{}", "{}&key=1", "{}?key=1"):
            target = change.replace("{}", wire.target())
            answer = await b.client.post(target, json=wire.fields(), headers=wire.auth(b.door.token))
            assert answer.status_code == 403, target
    assert not b.model.requests


@each
async def test_a_call_over_the_budget_is_refused_in_the_dialects_own_words(bench: Any, wire: Wire) -> None:
    async with bench(HELLO, HELLO, budget=Budget(calls=1)) as b:
        assert (await ask(b, wire)).status_code == 200
        assert not b.door.spent
        answer = await ask(b, wire)
        assert answer.status_code == 403
        assert "budget of 1 calls is used up [GW-GATEWAY-BUDGET]" in message(wire.dialect, answer.json())
        assert b.door.spent.cause is Cause.BUDGET
        assert len(b.model.requests) == 1
