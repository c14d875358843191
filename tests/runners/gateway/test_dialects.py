"""How answers are read: odd but seen in the wild."""

from __future__ import annotations

import json
from typing import Any

import pytest

from runners.gateway.anthropic import Anthropic
from runners.gateway.dialect import TEXT_MAX, Dialect, Kind, Meter, Tokens
from runners.gateway.errors import Broken
from runners.gateway.openai import OpenAI
from runners.gateway.sse import Event


def chat(*chunks: Any) -> Meter:
    """Read chunks of a chat completion."""
    meter = OpenAI().meter(Kind.GENERATE)
    for chunk in chunks:
        meter.event(Event("", chunk if isinstance(chunk, bytes) else json.dumps(chunk).encode()))
    return meter


def messages(*events: dict[str, Any]) -> Meter:
    """Read events of a Messages stream."""
    meter = Anthropic().meter(Kind.GENERATE)
    for event in events:
        meter.event(Event(event["type"], json.dumps(event).encode()))
    return meter


def test_the_last_count_of_a_messages_stream_holds() -> None:
    start = {"usage": {"input_tokens": 9, "output_tokens": 1, "cache_read_input_tokens": None}}
    meter = messages(
        {"type": "message_start", "message": start},
        {"type": "ping"},
        {"type": "message_delta", "delta": {}, "usage": {"output_tokens": 5}},
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 12}},
        {"type": "message_delta", "delta": {}, "usage": {"input_tokens": 10}},
        {"type": "message_stop"},
    )  # fmt: skip
    assert meter.answer().tokens == Tokens(fresh=10, out=12)
    assert meter.answer().complete
    assert meter.answer().stop == "end_turn"


def test_events_that_the_api_may_add_pass_unread() -> None:
    meter = messages({"type": "message_later", "index": "no number"}, {"type": "message_stop"})
    assert meter.answer().complete


def test_a_stream_without_its_stop_is_not_complete() -> None:
    assert not messages({"type": "message_delta", "delta": {"stop_reason": "end_turn"}}).answer().complete


def test_negative_counts_count_as_nothing() -> None:
    meter = messages({"type": "message_start", "message": {"usage": {"input_tokens": -5, "output_tokens": -1}}})
    assert meter.answer().tokens == Tokens()
    usage = {"prompt_tokens": -3, "completion_tokens": -4, "prompt_tokens_details": {"cached_tokens": 9}}
    assert chat({"choices": [], "usage": usage}).answer().tokens == Tokens()


def test_a_chat_stream_ends_with_its_finish_reason_even_without_done() -> None:
    meter = chat({"choices": [{"index": 0, "delta": {"content": "a"}, "finish_reason": "stop"}]})
    assert meter.answer().complete
    assert not chat({"choices": [{"index": 0, "delta": {"content": "a"}}]}, b"[DONE]").answer().complete


def test_reasoning_and_arguments_as_objects_are_read() -> None:
    call = {"function": {"name": "run", "arguments": {"command": "ls"}}}
    said = {"content": None, "reasoning_content": "hm", "tool_calls": [call]}
    meter = chat({"choices": [{"message": said, "finish_reason": "tool_calls"}]})
    assert json.loads(meter.answer().content)["content"] == [
        {"type": "thinking", "text": "hm"}, {"tool": "run", "arguments": '{"command":"ls"}'},
    ]  # fmt: skip


@pytest.mark.parametrize("data", [b"not json", b"[]", b'{"choices": 7}', b'{"error": {"message": "x"}}'])
def test_garbage_in_a_chat_stream_breaks_it(data: bytes) -> None:
    with pytest.raises(Broken):
        chat(data)


def test_what_is_kept_of_an_answer_is_bounded() -> None:
    piece = {"choices": [{"index": 0, "delta": {"content": "x" * 100_000}}]}
    content = json.loads(chat(*[piece] * 20).answer().content)
    assert content["truncated"]
    assert len(content["content"][0]["text"]) == TEXT_MAX


@pytest.mark.parametrize(
    ("dialect", "base", "path", "url"),
    [
        (Anthropic(), "", "/v1/messages", "https://api.anthropic.com/v1/messages"),
        (Anthropic(), "https://proxy.example/claude/v1/", "/v1/messages", "https://proxy.example/claude/v1/messages"),
        (OpenAI(), "", "/v1/chat/completions", "https://api.openai.com/v1/chat/completions"),
        (OpenAI(), "https://openrouter.ai/api/v1", "/v1/chat/completions", "https://openrouter.ai/api/v1/chat/completions"),
        (OpenAI(), "http://localhost:11434/v1/", "/v1/chat/completions", "http://localhost:11434/v1/chat/completions"),
    ],
)  # fmt: skip
def test_base_urls_are_taken_as_vendors_write_them(dialect: Dialect, base: str, path: str, url: str) -> None:
    assert dialect.url(base, path) == url
