"""Structured answers."""

from __future__ import annotations

import pytest

from runners.loop.answer import parse
from runners.loop.errors import ToolFault

SCHEMA = {
    "type": "object", "additionalProperties": False, "required": ["verdict"],
    "properties": {"verdict": {"enum": ["pass", "fail"]}, "notes": {"type": "array", "items": {"type": "string"}}},
}  # fmt: skip


@pytest.mark.parametrize(
    "text",
    [
        '{"verdict": "pass"}',
        '  \n{"verdict": "pass"}\n',
        'I looked.\n\n```json\n{"verdict": "pass"}\n```\nDone.',
        'First ```code``` then\n```\n{"verdict": "fail"}\n```\nno:\n```json\n{"verdict": "pass"}\n```',
        'The answer is {"verdict": "pass"} as asked.',
    ],
)
def test_the_object_is_found_bare_fenced_or_among_words(text):
    assert parse(text, SCHEMA) == {"verdict": "pass"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("it passed", "not JSON"),
        ('{"verdict": "maybe"}', r"\$\.verdict: 'maybe' is not one of"),
        ('{"verdict": "pass", "notes": [1]}', r"\$\.notes\[0\]: 1 is not of type 'string'"),
        ("{}", "'verdict' is a required property"),
        ('{"verdict": "pass", "more": 1}', "more"),
        ('["pass"]', "not of type 'object'"),
        ('{"verdict": "fail", "verdict": "pass"}', "stands twice"),
        ('{"verdict": NaN}', "NaN"),
        ("[" * 100_000, "not JSON"),
        ("", "not JSON"),
    ],
)
def test_what_is_wrong_is_named(text, said):
    with pytest.raises(ToolFault, match=said):
        parse(text, SCHEMA)


def test_a_schema_that_allows_other_values_still_needs_an_object():
    with pytest.raises(ToolFault, match="must be a JSON object"):
        parse("[1]", {})
