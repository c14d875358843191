"""Brackets and targets of links."""

from __future__ import annotations

import pytest

from bot.model.hygiene_links import Brackets, inline_target


@pytest.mark.parametrize(
    ("text", "address", "title"),
    [
        ("(a)", "a", ""),
        ("( a )", "a", ""),
        ("()", "", ""),
        ('(a "t")', "a", "t"),
        ("(a 't')", "a", "t"),
        ("(a (t))", "a", "t"),
        ("(<a b> 't')", "a b", "t"),
        ("(a(b(c)) 't')", "a(b(c))", "t"),
        ('(a\n"t\nu")', "a", "t\nu"),
        (r'(a "t \" u")', "a", r"t \" u"),
        (r"(a\)b)", r"a\)b", ""),
    ],
)
def test_targets_and_titles_are_told_apart(text, address, title):
    target = inline_target(f"{text} after", 0, len(text) + 6)
    assert target is not None
    assert (target.address, target.title, target.end) == (address, title, len(text))


@pytest.mark.parametrize("text", ["a)", "(a", "(a b)", "(a 't)", "(<a)", "(" * 40 + ")" * 40, '(a "t" u)', ""])
def test_what_is_no_target_is_none(text):
    assert inline_target(text, 0, len(text)) is None


def test_nothing_beyond_the_piece_is_read():
    assert inline_target("(a)", 0, 2) is None


def test_brackets_pair_inside_out_and_know_whether_they_can_be_a_label():
    brackets = Brackets()
    brackets.open(0, 1, is_image=False)
    brackets.open(4, 6, is_image=True)
    inner, outer = brackets.close(), brackets.close()
    assert inner is not None
    assert outer is not None
    assert (inner.start, inner.is_image, inner.is_simple) == (4, True, True)
    assert (outer.start, outer.is_image, outer.is_simple) == (0, False, False)
    assert brackets.close() is None
