"""Values, read without guessing."""

from __future__ import annotations

import pytest

from runners.loop.text_values import Unclear, calls, json_at, literal, value_at, whole


def test_a_raw_newline_in_a_string_is_one():
    assert whole('{"a": "b\nc"}') == {"a": "b\nc"}


@pytest.mark.parametrize("text", ['{"a": 1, "a": 2}', '{"a": NaN}', '{"a": 1} x', "[" * 100_000, '{"a": "b'])
def test_what_is_not_one_json_value_is_unclear(text):
    with pytest.raises(Unclear):
        whole(text)


def test_the_very_last_brace_may_be_missing_and_no_other():
    assert value_at('{"a": {"b": 1}', 0)[0] == {"a": {"b": 1}}
    with pytest.raises(Unclear):
        value_at('{"a": {"b": {"c": 1}', 0)


def test_a_value_ends_where_it_ends():
    assert json_at('x {"a": 1} y', 2) == ({"a": 1}, 10)


def test_python_has_words_of_its_own_and_borrows_some():
    assert literal("{'a': [True, None, -1, 2.5, (false, null)]}") == {"a": [True, None, -1, 2.5, [False, None]]}


@pytest.mark.parametrize(
    "text",
    ["{'a': 'b' 'c'}", "{'a': f()}", "{1: 2}", "{'a': b'c'}", "{'a': 1, 'a': 2}", "{**x}", "-" * 5000, "\0", "("],
)
def test_python_that_is_no_plain_value_is_unclear(text):
    with pytest.raises(Unclear):
        literal(text)


def test_calls_are_read_with_their_arguments_and_never_carried_out():
    assert calls("f(a=1)\n[g('x'), h()]") == [("f", [], {"a": 1}), ("g", ["x"], {}), ("h", [], {})]
    for text in ("x = f()", "f.g()", "f(**a)", "f(a=g())", "import os"):
        with pytest.raises(Unclear):
            calls(text)
