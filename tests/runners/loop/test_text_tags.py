"""Parameters between tags."""

from __future__ import annotations

import pytest

from runners.loop.text_tags import pairs_at, tagged_at, typed
from runners.loop.text_values import Unclear


@pytest.mark.parametrize(
    ("raw", "kind", "value"),
    [
        ("\n a \n\n", "string", " a \n"),
        ("a\n", "string", "a\n"),
        ("\n12\n", "integer", 12),
        ("twelve", "integer", "twelve"),
        ("False", "boolean", False),
        ("TRUE", "boolean", True),
        ('["a"]', "array", ["a"]),
        ("['a']", "array", ["a"]),
        ("12", "string", "12"),
    ],
)
def test_a_value_takes_the_type_that_the_tool_wants(raw, kind, value):
    assert typed(raw, kind) == value


def test_parameters_end_with_their_call():
    text = "<parameter=a>1</parameter>\n<parameter=b>\nx\n</function> more"
    assert tagged_at(text, 0, {"a": "integer"}) == ({"a": 1, "b": "x"}, text.index(" more"))


@pytest.mark.parametrize(
    "text",
    [
        "<parameter=a>1",
        "<parameter=a>1</parameter>and</function>",
        "<parameter=a>1<parameter=b>2</parameter></function>",
        "<parameter=a>1</function>2</parameter></function>",
    ],
)
def test_what_has_two_readings_is_unclear(text):
    with pytest.raises(Unclear):
        tagged_at(text, 0, {})


def test_keys_and_values_stand_in_turn():
    text = "<arg_key>a</arg_key>\n<arg_value>1</arg_value></tool_call>"
    assert pairs_at(text, 0, {"a": "integer"}) == ({"a": 1}, len(text))
    with pytest.raises(Unclear):
        pairs_at(text.replace("</arg_value>", ""), 0, {})
