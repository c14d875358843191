"""How a conversation is written for Ollama and an answer read from its lines."""

from __future__ import annotations

import json
from typing import Any

import pytest

from runners.loop.protocol import Call, Prompt, Reply, Stop, System, Turn
from runners.providers.ollama_wire import Assembly, Broken, wire_messages


def assembled(*lines: dict[str, Any]) -> Assembly:
    assembly = Assembly("call_9")
    for line in lines:
        assembly.add(json.dumps(line).encode())
    return assembly


def test_a_conversation_is_written_as_the_api_takes_it() -> None:
    calls = Call("c", "read", '{"path": "x"}'), Call("d", "list", "[1]"), Call("e", "list", "{")
    said = wire_messages([System("s"), Prompt("p"), Turn("", calls, thought="hm"), Reply("c", "read", "r"), Turn("t")])
    assert said[:2] == [{"role": "system", "content": "s"}, {"role": "user", "content": "p"}]
    assert said[2]["thinking"] == "hm"
    assert [call["function"]["arguments"] for call in said[2]["tool_calls"]] == [{"path": "x"}, {}, {}]
    assert said[3] == {"role": "tool", "tool_name": "read", "tool_call_id": "c", "content": "r"}
    assert said[4] == {"role": "assistant", "content": "t"}


def test_counts_and_the_reason_stand_in_the_last_line() -> None:
    assembly = assembled(
        {"model": "m", "message": {"content": "I "}},
        {"message": {"content": "will"}, "done": False},
        {"done": True, "done_reason": "length", "prompt_eval_count": 7, "eval_count": 2},
    )
    assert assembly.ended
    assert (assembly.prompt_tokens, assembly.answer_tokens) == (7, 2)
    assert assembly.turn() == Turn("I will", stop=Stop.LENGTH, model="m")


def test_counts_that_are_left_out_are_nothing() -> None:
    assembly = assembled({"done": True})
    assert (assembly.prompt_tokens, assembly.answer_tokens) == (0, 0)


@pytest.mark.parametrize("given", ["{}", {}, None])
def test_arguments_may_be_an_object_text_or_nothing(given: Any) -> None:
    call = {"id": "x", "function": {"name": "list", "arguments": given}}
    turn = assembled({"message": {"tool_calls": [call]}}, {"done": True}).turn()
    assert turn.calls == (Call("x", "list", "{}"),)


def test_a_lone_surrogate_does_not_break_the_next_request() -> None:
    assembly = Assembly("c")
    assembly.add(b'{"message": {"tool_calls": [{"function": {"name": "a", "arguments": {"p": "\\u00e9"}}}]}}')
    assert json.loads(assembly.turn().calls[0].arguments) == {"p": "\u00e9"}


@pytest.mark.parametrize(
    "line", [b"null", b"[1]", b'{"message": 3}', b'{"error": "gone"}', b'{"error": {"a": 1}}', b"{"]
)
def test_what_is_no_line_is_broken(line: bytes) -> None:
    with pytest.raises(Broken):
        Assembly("c").add(line)
