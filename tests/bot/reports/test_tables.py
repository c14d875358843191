"""Words that stand in tables."""

from __future__ import annotations

import pytest
from msgspec.structs import replace

from bot.model.gates import Glass, Passed
from bot.model.hygiene import Removed
from bot.model.hygiene_characters import Hidden
from bot.model.state import Gate
from bot.reports.tables import broken, grouped, hidden, kind_words, table
from bot.reports.views import Broken, ScopeItem
from runners.scope.view import Rule
from tests.bot.reports.samples import task


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


def test_an_emergency_is_told_while_it_holds_or_waits_for_its_review():
    spec = Glass(Gate.SPEC, "d" * 64, (7, 11), 1, 9)
    later = replace(spec, digest="e" * 64, due_ms=12)
    reviewed = replace(spec, reviewer=12)
    holds = (Passed(Gate.SPEC, "d" * 64, 1, (7, 11), is_emergency=True),)
    assert broken(task(glass=(later, spec))) == (Broken("spec", 9),)
    assert broken(task(glass=(reviewed,), passed=holds)) == (Broken("spec", 0),)
    assert broken(task(glass=(reviewed, later), passed=holds)) == (Broken("spec", 12),)
    assert broken(task(glass=(reviewed,))) == ()
