"""Filling templates within a budget."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bot.reports.render import tidy


def test_several_blank_lines_become_one_save_in_code():
    assert tidy("\n\na\n\n\n\nb\n````\n```\n\n\n```\n````\n\n\nc\n\n") == "a\n\nb\n````\n```\n\n\n```\n````\n\nc"


@given(st.lists(st.sampled_from(["", "a", "```", "````", "```x", " "]), max_size=12).map("\n".join))
def test_tidying_twice_changes_nothing_more(text):
    assert tidy(tidy(text)) == tidy(text)
