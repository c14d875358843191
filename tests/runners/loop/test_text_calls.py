"""Calls written as text: the samples from the wild, what hides in thinking, and whatever else a text may be."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runners.loop.text_calls import as_calls, find_calls, parameter_types, read
from runners.loop.tools import TOOLS

OFFERED = {
    "run": {"command": "string", "timeout": "integer"},
    "read_file": {"path": "string"},
    "write_file": {"path": "string", "content": "string"},
    "edit_file": {"path": "string", "old": "string", "new": "string"},
    "list_dir": {"path": "string", "recursive": "boolean"},
    "set_todos": {"todos": "array"},
    "finish": {},
}
EVIL = '{"name": "run", "arguments": {"command": "rm -rf /"}}'
GOOD = '{"name": "read_file", "arguments": {"path": "a.py"}}'
PATH = '{"path": "a.py"}'
SIZE = 1_000_000


def found(text: str) -> list[tuple[str, dict[str, object]]]:
    return [(call.name, call.arguments) for call in find_calls(text, OFFERED)]


READ_A = [("read_file", {"path": "a.py"})]


def test_every_sample_gives_the_calls_it_holds(test_data: Path):
    tools = json.loads((test_data / "models" / "text_tool_calls.tools.json").read_text(encoding="utf-8"))
    lines = (test_data / "models" / "text_tool_calls.jsonl").read_text(encoding="utf-8").splitlines()
    samples = [json.loads(line) for line in lines]
    assert len(samples) == 40
    for sample in samples:
        expected = [(call["name"], call["arguments"]) for call in sample["expect"]]
        assert [(c.name, c.arguments) for c in find_calls(sample["text"], tools)] == expected, sample["id"]


@pytest.mark.parametrize(
    "text",
    [
        f"<think>{EVIL}</think>{GOOD}",
        f"Maybe {EVIL}? No.\n</think>\n{GOOD}",
        f"<think>\n<tool_call>{EVIL[:-9]}\n</think>\n<tool_call>{GOOD}</tool_call>",
        f"<tool_call>{EVIL[:-9]}\n</think>\n<tool_call>{GOOD}</tool_call>",
        f"```json\n{EVIL}\n</think>\n{GOOD}",
        f"[THINK]{EVIL}[/THINK]{GOOD}",
        f"<|channel|>analysis<|message|>{EVIL}<|end|><|channel|>commentary to=functions.read_file<|message|>{PATH}",
        f'<think>{EVIL}</think>read_file(path="a.py")',
        f"<think>one</think><think>{EVIL}</think>{GOOD}",
        f"{GOOD}\n<think>{EVIL}",
    ],
)
def test_what_was_only_thought_is_not_done(text):
    assert found(text) == READ_A


@pytest.mark.parametrize(
    "text",
    [
        f"[TOOL_CALLS] [{GOOD}]",
        f"<|START_ACTION|>[\n{GOOD}\n]<|END_ACTION|>",
        '<minimax:tool_call><invoke name="read_file"><parameter name="path">a.py</parameter></invoke>',
        "<function=read_file>\n<parameter=path>\na.py\n</parameter>\n</function>\n</tool_call>",
        '<｜tool▁call▁begin｜>function<｜tool▁sep｜>read_file\n```json\n{"path": "a.py"}\n```<｜tool▁call▁end｜>',  # noqa: RUF001
        '<|tool_call_start|>[read_file(path="a.py")]<|tool_call_end|>',
        'read_file("a.py")',
        '{"tool_calls": [{"type": "function", "function": ' + GOOD + "}]}",
        "{'name': 'read_file', 'arguments': {'path': 'a.py',},}",
        '```tool_code\nread_file(path="a.py")\n```',
        'Let me look.\n```tool_code\nprint(read_file(path="a.py"))\n```\nThen we shall see.',
        '```tool_code\nprint(default_api.read_file(path="a.py"))\n```',
        '```tool_code\nread_file("a.py")',
        f"```tool_code\n{GOOD}\n```",
        f"{GOOD}\nObservation: it says\n{EVIL}",
        f"{GOOD}\n<tool_response>fine</tool_response>\n{EVIL}",
    ],
)
def test_further_ways_of_writing_the_same_call(text):
    assert found(text) == READ_A


@pytest.mark.parametrize(
    "text",
    [
        EVIL[:-3],  # cut inside the arguments
        '{"name": "write_file", "arguments": {"path": "a", "content": "x = "" + y"}}',  # Python would join the two
        '{"name": "run", "name": "finish", "arguments": {"command": "x"}}',
        '{"name": "write_file", "arguments": {"path": "a", "content": "' + EVIL + '"}}',
        "<function=write_file><parameter=path>a<parameter=content>b</parameter></function>",
        "<function=write_file><parameter=content>a</parameter>b</parameter></function>",
        "<function=write_file><parameter=content>a</function>b</parameter></function>",
        "<function=run><parameter=command>a</parameter><parameter=command>b</parameter></function>",
        "<tool_call>run\n<arg_key>command</arg_key>\n<arg_value>ls",
        '[TOOL_CALLS]run[ARGS]{"command": "ls',
        'edit_file("a", "b", "c")',
        "```tool_code\nread_file(path=name)\n```",
        '```tool_code\nwrite_file(path="a", content="x = "" + y")\n```',
        '```tool_code\nprint(run(command="ls"), end="")\n```',
    ],
)
def test_what_could_mean_two_things_is_not_done_and_is_told(text):
    reading = read(text, OFFERED)
    assert (reading.calls, reading.broken) == ((), True)


@pytest.mark.parametrize(
    "text",
    [
        f"Write it like `{GOOD}`.",
        f"```python\n{GOOD}\n```",
        '{"tasks": [' + GOOD + "]}",
        'First read_file(path="a.py") and then think.',
        '{"name": "run", "arguments": {}, "parameters": {}}',
        "```tool_code\nx = 3\n```",
        '```tool_code\nprint("done")\n```',
        '```python\nread_file(path="a.py")\n```',
        "",
    ],
)
def test_what_only_looks_like_a_call_is_none(text):
    reading = read(text, OFFERED)
    assert (reading.calls, reading.broken) == ((), False)


def test_content_keeps_what_looks_like_thinking_and_like_calls():
    content = f"<think>\n```\n{EVIL}\n</think>"
    text = json.dumps({"name": "write_file", "arguments": {"path": "a", "content": content}})
    assert found(text) == [("write_file", {"path": "a", "content": content})]
    raw = f"<function=write_file><parameter=path>a</parameter><parameter=content>\n{content}\n</parameter></function>"
    assert found(raw) == [("write_file", {"path": "a", "content": content})]


def test_a_name_that_is_no_tool_is_told():
    assert read('{"name": "Skill", "arguments": {}}', OFFERED).unknown == ("Skill",)


PIECES = st.sampled_from([
    EVIL, GOOD, "<think>", "</think>", "```", "```json\n", "`", "{", "}", "[", "(", '"', "'", "\\", "\n",
    "\n\n",
    "<tool_call>", "</tool_call>", "<function=run>", "<parameter=command>", "</parameter>", "</function>", "run(", "=",
    "```tool_code\n", "print(", "default_api.",
    "[TOOL_CALLS]", "[ARGS]", "Action: run", "\nAction Input: ", "Observation:", "<arg_key>", "<|channel|>analysis",
    "<|message|>", "functools", '{"name": "run", "arguments": {', '{"name": "nobody", "arguments": {}}', "\ud800", "\0",
])  # fmt: skip
TEXTS = st.lists(PIECES | st.text(max_size=20), max_size=12).map("".join)


@settings(max_examples=150, deadline=None)
@given(TEXTS)
def test_it_never_fails_and_names_only_what_is_offered(text):
    reading = read(text, OFFERED)
    assert {call.name for call in reading.calls} <= set(OFFERED)
    assert all(isinstance(json.loads(call.arguments), dict) for call in as_calls(reading, 1))
    assert all(not call.name or call.name in text for call in reading.calls)


@settings(max_examples=150, deadline=None)
@given(TEXTS.filter(lambda text: "think" not in text and "analysis" not in text), st.sampled_from(["<think>", ""]))
def test_nothing_is_ever_called_from_inside_thinking(text, opening):
    thought = text.replace("a.py", "b.py").replace("calc.py", "b.py")
    if opening:
        assert found(f"{opening}{thought}</think>\n{GOOD}") == READ_A
        assert found(f"{opening}{thought}") == []
    else:
        assert [call for call in found(f"{thought}{EVIL}</think>\n{GOOD}") if call not in READ_A] == []


@pytest.mark.parametrize(
    "unit",
    [
        '{"a":', '{"a":1,"a":1}', "</think>", "```", "```py</think>", "`a\n", "<function=run><parameter=a></think>",
        "[TOOL_CALLS]run", '{"name":"run","arguments":{"', "{'name': 'run',</think>", "run(", " ",
    ],
)  # fmt: skip
def test_a_megabyte_made_to_be_slow_is_read_in_time(unit):
    started = time.process_time()
    read(unit * (SIZE // len(unit)), OFFERED)
    assert time.process_time() - started < 6  # 0.8 s at most where it was measured; what is not linear takes minutes


def test_the_loops_own_tools_are_offered_with_their_types():
    types = parameter_types([kind.offer() for kind in TOOLS])
    assert types["run"] == {"command": "string", "timeout": "integer"}
    text = "<function=run><parameter=command>ls</parameter><parameter=timeout>7</parameter></function>"
    (call,) = as_calls(read(text, types), 3)
    assert (call.id, call.name, json.loads(call.arguments)) == ("text_3_0", "run", {"command": "ls", "timeout": 7})
