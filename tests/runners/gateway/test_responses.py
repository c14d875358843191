"""How answers of the Responses API are read: what ends one, what breaks it, what it used."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bot.settings import Price
from runners.gateway.dialect import Kind, Meter, Tokens
from runners.gateway.errors import Broken
from runners.gateway.openai import OpenAI
from runners.gateway.sse import Event
from tests.runners.gateway.wires import MODEL
from tests.simulators.models import Step

HELLO = Step(text="hello there", tokens=(1000, 20), cached=200)


def responses(*events: dict[str, Any]) -> Meter:
    """Read events of a stream."""
    meter = OpenAI().meter(Kind.GENERATE, "/v1/responses")
    for event in events:
        meter.event(Event(event.get("type", ""), json.dumps(event).encode()))
    return meter


async def test_cached_input_is_charged_by_its_own_price(bench: Any) -> None:
    async with bench(HELLO, prices={MODEL: Price(input=3.0, output=15.0, cache_read=1.0)}) as b:
        assert (await b.post("/v1/responses", model=MODEL, input="x", stream=True)).status_code == 200
        assert b.door.usage.micro_usd == 800 * 3 + 200 + 20 * 15


def test_a_response_ends_by_its_last_event_only() -> None:
    usage = {"input_tokens": 10, "input_tokens_details": {"cached_tokens": 4}, "output_tokens": 2}
    item = {"type": "custom_tool_call", "name": "apply_patch", "input": "*** Begin"}
    done = {"type": "response.output_item.done", "item": item}
    assert not responses(done).answer().complete
    whole = responses(done, done, {"type": "response.completed", "response": {"usage": usage}}).answer()
    assert whole.complete
    assert whole.tokens == Tokens(fresh=6, cache_read=4, out=2)
    assert json.loads(whole.content)["content"] == [{"tool": "apply_patch", "arguments": "*** Begin"}] * 2
    cut = {"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}}
    assert responses({"type": "response.incomplete", "response": cut}).answer().stop == "max_output_tokens"


def test_a_failed_response_counts_what_it_used_and_is_broken() -> None:
    failed = {"status": "failed", "error": {"code": "server_error"}, "usage": {"input_tokens": 7, "output_tokens": 1}}
    meter = responses()
    with pytest.raises(Broken, match="server_error"):
        meter.event(Event("response.failed", json.dumps({"type": "response.failed", "response": failed}).encode()))
    assert meter.answer().tokens == Tokens(fresh=7, out=1)
    assert not meter.answer().complete


@pytest.mark.parametrize("status", ["queued", "in_progress", ""])
def test_a_response_that_goes_on_elsewhere_is_no_answer(status: str) -> None:
    meter = OpenAI().meter(Kind.GENERATE, "/v1/responses")
    meter.body(json.dumps({"status": status, "output": []}).encode())
    assert not meter.answer().complete


async def test_no_response_is_made_in_the_background(bench: Any) -> None:
    async with bench(HELLO) as b:
        assert (await b.post("/v1/responses", model=MODEL, input="x", background=True)).status_code == 400
        assert not b.model.requests
        assert (await b.post("/v1/responses", model=MODEL, input="x", background=False)).status_code == 200
