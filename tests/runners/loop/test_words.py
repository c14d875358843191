"""A conversation without native tools."""

from __future__ import annotations

import json

from runners.loop.protocol import Call, Prompt, Reply, Stop, System, Turn
from runners.loop.text_calls import find_calls, parameter_types
from runners.loop.tools import TOOLS
from runners.loop.words import described, in_words

OFFERED = [kind.offer() for kind in TOOLS]


def test_every_tool_is_described_with_its_schema_and_the_form_of_a_call():
    said = described(OFFERED)
    lines = [json.loads(line) for line in said.splitlines() if line.startswith('{"name": "') and '"about"' in line]
    assert [line["name"] for line in lines] == [tool.name for tool in OFFERED]
    assert lines[0]["parameters"] == OFFERED[0].parameters
    assert '{"name": "<tool>", "arguments":' in said


def test_native_calls_and_replies_become_text_that_can_be_read_again():
    calls = Call("a", "read", '{"path": "x"}'), Call("b", "list", "")
    before = [
        System("s"), Prompt("p"), Turn("I look.", calls), Reply("a", "read", "1"), Reply("b", "list", "x"),
        Turn("So.", (Call("c", "read", "{}"),), thought="hm"), Reply("c", "read", "2"),
    ]  # fmt: skip
    said = in_words(before)
    assert [type(message) for message in said] == [System, Prompt, Turn, Prompt, Turn, Prompt]
    assert said[3] == Prompt("[read]\n1\n\n[list]\nx")
    assert said[5] == Prompt("[read]\n2")
    turn = said[2]
    assert isinstance(turn, Turn)
    assert (turn.calls, turn.stop) == ((), Stop.END)
    found = find_calls(turn.text, parameter_types(OFFERED))
    assert [(call.name, call.arguments) for call in found] == [("read", {"path": "x"}), ("list", {})]


def test_what_was_said_in_words_stays_as_it_is():
    before = [System("s"), Prompt("p"), Turn("t"), Prompt("q")]
    assert in_words(before) == before
