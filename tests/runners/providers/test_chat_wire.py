"""Putting a turn together from what servers send, as they differ."""

from __future__ import annotations

import pytest
from openai.types.chat import ChatCompletionChunk

from runners.loop.protocol import Call, Prompt, Reply, Stop, System, Turn
from runners.providers.chat_wire import Assembly, wire_messages
from runners.providers.errors import ProviderError
from runners.providers.protocol import Cause


def assembled(*deltas, finish="stop"):
    """Build a turn from deltas; `construct` is how the SDK itself reads chunks: nothing is checked."""
    assembly = Assembly("call_9")
    for delta in deltas:
        choice = {"index": 0, "delta": delta, "finish_reason": None}
        assembly.add(_chunk({"model": "m", "choices": [choice]}))
    assembly.add(_chunk({"model": "m", "choices": [{"index": 0, "delta": {}, "finish_reason": finish}]}))
    assembly.add(_chunk({"model": "m", "choices": [], "usage": {"prompt_tokens": 1}}))
    return assembly.turn()


def _chunk(raw):
    from openai._models import construct_type

    chunk = construct_type(type_=ChatCompletionChunk, value=raw)
    assert isinstance(chunk, ChatCompletionChunk)
    return chunk


def piece(index, call_id=None, name=None, arguments=None):
    return {"index": index, "id": call_id, "function": {"name": name, "arguments": arguments}}


def test_text_and_calls_are_joined_from_their_pieces():
    turn = assembled(
        {"role": "assistant", "content": ""},
        {"content": "Let "},
        {"content": "me."},
        {"tool_calls": [piece(0, "a", "read", "")]},
        {"tool_calls": [piece(0, None, None, '{"path"')]},
        {"tool_calls": [piece(1, "b", "list", "{}")]},
        {"tool_calls": [piece(0, None, None, ': "x"}')]},
        finish="tool_calls",
    )
    assert turn == Turn("Let me.", (Call("a", "read", '{"path": "x"}'), Call("b", "list", "{}")), model="m")


@pytest.mark.parametrize(
    "pieces",
    [
        [piece(0, "a", "read", "{}"), piece(0, "b", "list", "{}")],  # every call numbered 0
        [piece(None, "a", "read", "{}"), piece(None, "b", "list", "{}")],  # none numbered
        [piece(0, "a", "read", None), piece(0, "a", None, "{}"), piece(1, "b", "list", {})],  # id again, an object
    ],
)
def test_servers_that_number_calls_in_their_own_way_are_understood(pieces):
    turn = assembled(*({"tool_calls": [one]} for one in pieces))
    assert turn.calls == (
        Call("a", "read", "{}"),
        Call("b", "list", "{}" if pieces[-1]["function"]["arguments"] else ""),
    )


def test_pieces_without_number_and_id_go_on_with_the_last_call():
    turn = assembled(
        {"tool_calls": [piece(None, "a", "read", '{"a')]}, {"tool_calls": [piece(None, None, None, '": 1}')]}
    )
    assert turn.calls == (Call("a", "read", '{"a": 1}'),)


def test_calls_without_an_id_get_one_each():
    turn = assembled({"tool_calls": [piece(0, "", "read", "{}"), piece(1, None, "list", "{}")]})
    assert [call.id for call in turn.calls] == ["call_9_0", "call_9_1"]


@pytest.mark.parametrize("delta", [None, {"content": None}, {"content": ["parts"]}, {"tool_calls": [{"index": 0}]}, {}])
def test_odd_deltas_do_no_harm(delta):
    assert assembled({"content": "ok"}, delta).text == "ok"


def test_thinking_that_comes_apart_from_the_text_is_not_the_answer():
    assert assembled({"reasoning_content": "hm"}, {"content": "yes"}).text == "yes"


@pytest.mark.parametrize(
    ("finish", "stop"),
    [("stop", Stop.END), ("tool_calls", Stop.END), ("length", Stop.LENGTH), ("content_filter", Stop.FILTER)],
)
def test_why_the_model_stopped_is_kept(finish, stop):
    assert assembled({"content": "x"}, finish=finish).stop is stop


def test_a_refusal_is_an_error_with_the_models_words():
    with pytest.raises(ProviderError, match="the model refused") as raised:
        assembled({"refusal": "I can"}, {"refusal": "not."})
    assert (raised.value.cause, raised.value.why) == (Cause.REFUSAL, "I cannot.")


def test_a_lone_surrogate_does_not_break_the_next_request():
    turn = assembled({"content": "a\ud83d"}, {"tool_calls": [piece(0, "a", "read", '{"p": "\ude00"}')]})
    assert turn.text == "a?"
    assert turn.calls[0].arguments == '{"p": "?"}'


def test_a_stream_without_a_finish_reason_has_not_ended():
    assembly = Assembly("x")
    assembly.add(_chunk({"choices": [{"index": 0, "delta": {"content": "half"}}]}))
    assert not assembly.ended


def test_a_conversation_is_written_as_the_api_takes_it():
    call = Call("c", "read", "[1]")
    assert wire_messages([System("s"), Prompt("p"), Turn("", (call,)), Reply("c", "read", "r"), Turn("done")]) == [
        {"role": "system", "content": "s"},
        {"role": "user", "content": "p"},
        {
            "role": "assistant", "content": None,
            "tool_calls": [{"id": "c", "type": "function", "function": {"name": "read", "arguments": "{}"}}],
        },
        {"role": "tool", "tool_call_id": "c", "content": "r"},
        {"role": "assistant", "content": "done"},
    ]  # fmt: skip
