"""What is Ollama's own: its end, its counts, and the few paths that only read."""

from __future__ import annotations

import json
from typing import Any

import pytest

from runners.gateway.dialect import Kind, Meter, Tokens
from runners.gateway.ollama import Ollama
from runners.gateway.sse import Event
from tests.runners.gateway.wires import MODEL


def read(*events: dict[str, Any]) -> Meter:
    """Read events of a stream."""
    meter = Ollama().meter(Kind.GENERATE)
    for event in events:
        meter.event(Event(event.get("type", ""), json.dumps(event).encode()))
    return meter


def test_ollama_is_not_done_until_it_says_so() -> None:
    said = {"message": {"content": "a"}, "done": False}
    assert not read(said).answer().complete
    meter = read(said, {"done": True, "eval_count": 3})
    assert meter.answer().complete
    assert meter.answer().tokens == Tokens(out=3)


async def test_ollamas_models_may_be_read_but_only_the_routed_one_be_shown(bench: Any) -> None:
    async with bench() as b:
        headers = {"authorization": f"Bearer {b.door.token}"}
        tags = await b.client.get("/api/tags", headers=headers)
        assert tags.json()["models"][0]["name"] == "qwen3:14b"
        assert (await b.post("/api/show", model=MODEL)).json()["capabilities"] == ["completion", "tools"]
        assert (await b.post("/api/show", model="other")).status_code == 403
        assert (await b.client.post("/api/tags", headers=headers)).status_code == 405
        for path in ("/api/pull", "/api/delete", "/api/create", "/api/generate", "/api/push", "/api/copy"):
            refused = await b.post(path, model=MODEL)
            assert refused.status_code == 403
        assert [seen.target for seen in b.model.requests] == ["/api/tags", "/api/show"]
        assert b.door.usage.micro_usd == 0
    assert b.recorder.unpaired() == []


@pytest.mark.parametrize(
    ("base", "path", "url"),
    [
        ("", "/api/chat", "http://127.0.0.1:11434/api/chat"),
        ("http://gpu:11434/v1/", "/api/chat", "http://gpu:11434/api/chat"),
    ],
)  # fmt: skip
def test_the_base_url_is_taken_as_people_write_it(base: str, path: str, url: str) -> None:
    assert Ollama().url(base, path) == url
