"""Arguments put right."""

from __future__ import annotations

import json

import pytest

from runners.loop.repair import repair

SCHEMA = {
    "required": ["path"],
    "properties": {
        "path": {"type": "string"},
        "line": {"type": "integer"},
        "deep": {"type": "boolean"},
        "names": {"type": "array", "items": {"type": "string"}},
    },
}


@pytest.mark.parametrize(
    ("given", "mended", "left_out"),
    [
        ({"line": "12"}, {"line": 12}, ()),
        ({"deep": "True"}, {"deep": True}, ()),
        ({"names": "a"}, {"names": ["a"]}, ()),
        ({"names": '["a", "b"]'}, {"names": ["a", "b"]}, ()),
        ({"colour": 1, "line": 2}, {"line": 2}, ("colour",)),
    ],
)
def test_what_can_mean_only_one_thing_is_put_right(given, mended, left_out):
    said, keys = repair(json.dumps({"path": "a", **given}), SCHEMA)
    assert (json.loads(said), keys) == ({"path": "a", **mended}, left_out)


@pytest.mark.parametrize(
    "given",
    [
        {"line": "twelve"},
        {"line": "1.5"},
        {"line": "9" * 30},
        {"deep": "yes"},
        {"names": 3},
        {"names": "[a"},
        {"path": 3},
    ],
)
def test_what_is_a_guess_stays_for_the_model_to_mend(given):
    text = json.dumps({"path": "a", **given})
    assert repair(text, SCHEMA) == (text, ())


@pytest.mark.parametrize("text", ['{"file": "a"}', "[]", '{"path"', "[" * 100_000])
def test_a_misspelt_name_and_what_is_no_object_are_left_alone(text):
    assert repair(text, SCHEMA) == (text, ())
