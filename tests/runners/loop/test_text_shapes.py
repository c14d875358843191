"""Which values are calls."""

from __future__ import annotations

import pytest

from runners.loop.text_shapes import HEAD, MAX_DEPTH, called, is_shallow, names_in

CALL = ("read", {"path": "a"})


@pytest.mark.parametrize(
    "value",
    [
        {"name": "read", "arguments": {"path": "a"}},
        {"tool": "read", "input": {"path": "a"}},
        {"name": "read", "parameters": '{"path": "a"}'},
        {"type": "function", "function": {"name": "read", "arguments": {"path": "a"}}},
        [{"tool_call": {"name": "read", "args": {"path": "a"}}}],
    ],
)
def test_models_put_a_call_under_many_keys(value):
    assert called(value) == [CALL]


@pytest.mark.parametrize(
    "value",
    [
        3,
        {"name": "read"},
        {"name": "read", "arguments": [1]},
        {"name": "read", "arguments": "not JSON"},
        {"name": "read", "tool": "write", "arguments": {}},
        [{"name": "read", "arguments": {}}, {"note": "and more"}],
        [[[[[{"name": "read", "arguments": {}}]]]]],
    ],
)
def test_what_is_no_call_in_every_part_is_none(value):
    assert called(value) == []


def test_depth_is_bounded():
    value: object = 1
    for _ in range(MAX_DEPTH):
        value = [value]
    assert is_shallow(value)
    assert not is_shallow([[value]])


def test_a_broken_value_is_named_near_its_start_only():
    text = '{"name": "read", "arguments": {' + " " * HEAD + '"tool": "write"'
    assert names_in(text, 0) == ["read"]
