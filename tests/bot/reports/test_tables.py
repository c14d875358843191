"""Words that stand in tables."""

from __future__ import annotations

import pytest

from bot.model.hygiene import Removed
from bot.model.hygiene_characters import Hidden
from bot.reports.tables import grouped, hidden, kind_words, table
from bot.reports.views import ScopeItem
from runners.scope.view import Rule


def test_what_was_hidden_is_counted_by_kind():
    removed = (Removed(Hidden.COMMENT, 1, "a"), Removed(Hidden.ZERO_WIDTH, 14), Removed(Hidden.COMMENT, 1, "b"))
    assert hidden(removed) == "2 HTML comments, 14 zero-width characters"
    assert hidden(()) == ""


def test_plurals_are_those_of_the_language():
    assert kind_words(Hidden.ALT, 2) == "alternative texts of images"
    assert kind_words(Hidden.TAG) == "HTML tag"


def test_every_scope_rule_has_a_heading_and_an_unknown_one_its_name():
    assert set(table("scope")) == {rule.value for rule in Rule}
    (group,) = grouped([ScopeItem("later", "a"), ScopeItem("later", "b")])
    assert (group.title, len(group.items)) == ("later", 2)


@pytest.mark.parametrize("name", ["voids", "not_opened"])
def test_every_row_says_why_and_what_is_next(name):
    for code, row in table(name).items():
        assert set(row) == {"why", "next" if name == "voids" else "fix"}, code
