"""What is Gemini's own: thoughts, blocked prompts, and a key that never stands in a URL."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bot.settings import Price
from runners.gateway.dialect import Kind, Meter, Tokens
from runners.gateway.gemini import Gemini
from runners.gateway.sse import Event
from tests.runners.gateway.conftest import settled
from tests.runners.gateway.wires import MODEL
from tests.simulators.models import Step
from tests.simulators.models.server import REAL_KEY

HELLO = Step(text="hello there", tokens=(1000, 20), cached=200)


def read(*events: dict[str, Any]) -> Meter:
    """Read events of a stream."""
    meter = Gemini().meter(Kind.ARRAY)
    for event in events:
        meter.event(Event(event.get("type", ""), json.dumps(event).encode()))
    return meter


async def test_cached_input_is_charged_by_its_own_price(bench: Any) -> None:
    async with bench(HELLO, prices={MODEL: Price(input=3.0, output=15.0, cache_read=1.0)}) as b:
        assert (await b.post(f"/v1beta/models/{MODEL}:streamGenerateContent", contents=[])).status_code == 200
        assert b.door.usage.micro_usd == 800 * 3 + 200 + 20 * 15


async def test_a_cut_stream_ends_within_an_event_so_that_the_client_asks_again(bench: Any) -> None:
    async with bench(Step(text="half of the answer " * 9, cut=True)) as b:
        answer = await b.post(f"/v1beta/models/{MODEL}:streamGenerateContent?alt=sse", contents=[])
        await settled(b.recorder, 1)
    assert answer.text.endswith('data: {"torn')
    assert "finishReason" not in answer.text
    assert b.recorder.of("model.result")[0].outcome == "fail"


async def test_a_token_count_passes_and_costs_nothing(bench: Any) -> None:
    async with bench() as b:
        answer = await b.post(f"/v1beta/models/{MODEL}:countTokens", contents=[])
        assert answer.json() == {"totalTokens": 42}
        assert (await b.post("/v1beta/models/dear-model-9:countTokens", contents=[])).status_code == 403
        assert b.door.usage.tokens_in == 0
        assert b.door.failure is None
    assert len(b.model.requests) == 1


def test_thoughts_are_counted_as_output_and_the_last_usage_holds() -> None:
    first = {"promptTokenCount": 10, "candidatesTokenCount": 1}
    last = {"promptTokenCount": 10, "cachedContentTokenCount": 4, "candidatesTokenCount": 5, "thoughtsTokenCount": 7}
    thought = {"content": {"parts": [{"text": "hm", "thought": True}]}}
    said = {"content": {"parts": [{"text": "a"}, {"functionCall": {"name": "f"}}]}, "finishReason": "STOP"}
    meter = read({"candidates": [thought], "usageMetadata": first}, {"candidates": [said], "usageMetadata": last})
    assert meter.answer().tokens == Tokens(fresh=6, cache_read=4, out=12)
    assert json.loads(meter.answer().content)["content"] == [
        {"type": "thinking", "text": "hm"}, {"type": "text", "text": "a"}, {"tool": "f", "arguments": "{}"},
    ]  # fmt: skip


def test_a_prompt_that_gemini_blocks_is_an_answer() -> None:
    assert read({"promptFeedback": {"blockReason": "SAFETY"}}).answer().stop == "blocked: SAFETY"


async def test_a_key_in_the_url_is_refused_and_never_sent(bench: Any) -> None:
    path = f"/v1beta/models/{MODEL}:generateContent"
    async with bench(HELLO) as b:
        for query in (f"?key={b.door.token}", f"?alt=sse&key={REAL_KEY}", "?alt=json"):
            assert (await b.post(path + query, contents=[])).status_code == 403
        assert not b.model.requests


@pytest.mark.parametrize(
    ("base", "path", "url"),
    [
        ("", "/v1beta/x", "https://generativelanguage.googleapis.com/v1beta/x"),
        ("https://proxy.example/g/v1beta/", "/v1beta/x", "https://proxy.example/g/v1beta/x"),
    ],
)  # fmt: skip
def test_the_base_url_is_taken_as_people_write_it(base: str, path: str, url: str) -> None:
    assert Gemini().url(base, path) == url
