"""The same good and bad days over every dialect."""

from __future__ import annotations

import asyncio
import json
import time
from itertools import pairwise
from typing import Any

import httpx
import pytest

from bot.model.allowance import Allowance
from bot.model.task import Usage
from runners.gateway.dialect import TEXT_MAX
from runners.providers.protocol import Cause, Limits
from tests.runners.gateway.conftest import ONCE, settled
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


async def ask_for_a_part(b: Any, wire: Wire) -> None:
    """Ask, and see that the answer cannot be taken for a whole one."""
    if wire.name == "gemini-sse":  # Gemini's client asks again for an event that was torn only
        assert (await ask(b, wire)).text.endswith('data: {"torn')
        return
    with pytest.raises(httpx.RemoteProtocolError):
        await ask(b, wire)


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
    causes = {400: Cause.ANSWER, 401: Cause.AUTH, 404: Cause.MODEL, 429: Cause.RATE, 500: Cause.CRASH}
    steps = [Step(status=status, headers={"retry-after": "7"}, body=body) for status in causes]
    async with bench(*steps, patience=ONCE) as b:
        for status, cause in causes.items():
            with b.door.begin(Limits()):
                answer = await ask(b, wire)
                assert (answer.status_code, answer.headers["retry-after"]) == (status, "7")
                assert answer.headers["x-should-retry"] == "false"
                assert answer.json() == {"error": {"message": "no: [key]"}}
                assert (b.door.last_error.cause, b.door.last_error.why) == (cause, "no: [key]")
                assert b.door.failure is (None if status == 400 else b.door.last_error)
    for result, status in zip(b.recorder.of("model.result"), causes, strict=True):
        assert (result.outcome, result.data.status, result.data.micro_usd) == ("fail", status, 0)
        assert REAL_KEY.encode() not in result.blobs["output"]


@each
async def test_a_call_is_tried_again_and_each_try_is_a_record(bench: Any, wire: Wire) -> None:
    async with bench(Step(status=429), Step(status=500), HELLO) as b:
        assert (await ask(b, wire)).status_code == 200
        assert b.door.usage == Usage(3, 1000, 20, 3300)
        assert b.door.failure is None
    assert [one.outcome for one in b.recorder.of("model.result")] == ["fail", "fail", "ok"]
    assert b.recorder.unpaired() == []


@each
async def test_an_api_that_does_not_recover_ends_the_run_and_what_is_asked_next_is_refused(
    bench: Any, wire: Wire
) -> None:
    async with bench(Step(status=503, repeat=0)) as b:
        answer = await ask(b, wire)
        assert (answer.status_code, answer.headers["x-should-retry"]) == (503, "false")
        assert (b.door.failure.cause, b.door.failure.code) == (Cause.CRASH, "GW-MODEL-CRASH")
        again = await ask(b, wire)
        assert again.status_code == 403
        assert f"{b.door.failure.what} [GW-GATEWAY-FAILED]" in message(wire.dialect, again.json())
        assert len(b.model.requests) == 3
    assert b.recorder.unpaired() == []


@each
async def test_a_cut_answer_is_no_answer(bench: Any, wire: Wire) -> None:
    async with bench(Step(text="a" * 100, cut=True), patience=ONCE) as b:
        if wire.streams:
            await ask_for_a_part(b, wire)
        else:
            assert "GW-GATEWAY-UPSTREAM" in message(wire.dialect, (await ask(b, wire)).json())
        await settled(b.recorder, 1)
    assert b.recorder.of("model.result")[0].outcome == "fail"
    assert b.recorder.unpaired() == []


@each_stream
async def test_an_error_within_a_stream_breaks_it(bench: Any, wire: Wire) -> None:
    async with bench(Step(text="a" * 100, broken=True)) as b:
        await ask_for_a_part(b, wire)
        await settled(b.recorder, 1)
    assert b.recorder.of("model.result")[0].outcome == "fail"


@each_stream
async def test_a_silent_stream_ends_within_its_clock(bench: Any, wire: Wire) -> None:
    async with bench(Step(text="a" * 100, hang="mid"), idle_seconds=0.2) as b:
        await ask_for_a_part(b, wire)
        await settled(b.recorder, 1)
    assert b.recorder.of("model.result")[0].outcome == "timeout"


@each
async def test_an_answer_that_is_none_of_the_dialects_is_never_a_success(bench: Any, wire: Wire) -> None:
    bodies = ("<html>proxy error</html>", "{}", '{"choices": 7, "candidates": 7, "done": 7}')
    async with bench(*(Step(body=body) for body in bodies)) as b:
        for _ in range(3):
            assert b.door.failure is None
            if wire.name == "gemini-array":  # had begun before it could be known
                await ask_for_a_part(b, wire)
            else:
                assert (await ask(b, wire)).status_code == 502
        assert "broke off 3 times" in (await asyncio.wait_for(b.door.failed(), 10)).what
        assert b.door.failure.cause is Cause.CRASH
        await settled(b.recorder, len(bodies))
    assert {result.outcome for result in b.recorder.of("model.result")} == {"fail"}


@each_stream
async def test_a_stream_of_garbage_is_broken(bench: Any, wire: Wire) -> None:
    async with bench(Step(body=wire.garbage, headers={"content-type": wire.content_type})) as b:
        await ask_for_a_part(b, wire)
        await settled(b.recorder, 1)
    assert b.recorder.of("model.result")[0].outcome == "fail"


@each
async def test_thirty_megabytes_are_carried_and_never_kept(bench: Any, wire: Wire) -> None:
    async with bench(Step(text="x" * (30 << 20), tokens=(1000, 20))) as b:
        assert len((await ask(b, wire)).content) > 30 << 20
        await settled(b.recorder, 1)
        assert b.door.failure is None
    [result] = b.recorder.of("model.result")
    assert result.outcome == "ok"
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
        assert b.door.failure is None  # a side call that failed is no failure of the run
        assert (b.door.last_error.cause, "dear-model-9" in b.door.last_error.what) == (Cause.MODEL, True)
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
    async with bench(HELLO, HELLO, allowances=(Allowance(scope="attempt", calls=1),)) as b:
        assert (await ask(b, wire)).status_code == 200
        assert not b.door.failure
        answer = await ask(b, wire)
        assert answer.status_code == 403
        assert "budget of 1 calls is used up (1) [GW-GATEWAY-BUDGET]" in message(wire.dialect, answer.json())
        assert (b.door.failure.cause, b.door.failure.code) == (Cause.BUDGET, "GW-BUDGET-ATTEMPT")
        assert len(b.model.requests) == 1
