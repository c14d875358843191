"""Exact replacement and its messages."""

from __future__ import annotations

import pytest

from runners.loop.edit import replace
from runners.loop.errors import ToolFault

TEXT = "def add(a, b):\n    return a - b\n\n\ndef sub(a, b):\n    return a - b\n"


def test_a_unique_piece_is_replaced_and_its_line_named():
    edited = replace(TEXT, "def add(a, b):\n    return a - b", "def add(a, b):\n    return a + b")
    assert edited.text.startswith("def add(a, b):\n    return a + b\n")
    assert (edited.places, edited.line) == (1, 1)


def test_a_piece_that_is_there_twice_is_refused_with_its_lines():
    with pytest.raises(ToolFault, match=r"2 times \(lines 2, 6\)"):
        replace(TEXT, "    return a - b", "x")


def test_every_place_can_be_asked_for():
    assert replace(TEXT, "a - b", "a + b", every=True).places == 2


@pytest.mark.parametrize(
    ("old", "said"),
    [
        ("def add(a, b):\n\treturn a - b", "same words with other blanks are at line 1:\ndef add"),
        ("return a-b", "nearest line is at line 2:\n    return a - b"),
        ("def mul(a, b):\n    return a * b", "nearest line"),
    ],
)
def test_a_near_miss_is_shown(old, said):
    with pytest.raises(ToolFault) as fault:
        replace(TEXT, old, "x")
    assert said in str(fault.value)


def test_nothing_near_says_only_that_it_was_not_found():
    with pytest.raises(ToolFault) as fault:
        replace(TEXT, "completely different words here", "x")
    assert str(fault.value) == "old was not found; it must match to the letter, blanks included."


def test_in_a_very_long_file_no_near_miss_is_looked_for():
    with pytest.raises(ToolFault) as fault:
        replace("a line\n" * 6_000, "a lime", "x")
    assert str(fault.value).endswith("blanks included.")


@pytest.mark.parametrize(("old", "new", "said"), [("", "x", "use write"), ("a", "a", "the same")])
def test_senseless_edits_are_refused(old, new, said):
    with pytest.raises(ToolFault, match=said):
        replace(TEXT, old, new)


def test_a_file_with_crlf_keeps_it():
    assert replace("one\r\ntwo\r\nthree\r\n", "one\ntwo", "1\n2").text == "1\r\n2\r\nthree\r\n"
