"""The table of verbs is whole."""

from __future__ import annotations

from bot.model.command import Verb
from bot.model.state import State
from bot.model.verbs import BY_VERB, CATALOGUE, Takes, Where


def test_every_verb_has_exactly_one_row_that_says_what_it_does_and_when():
    assert sorted(row.verb for row in CATALOGUE) == sorted(Verb)
    assert all(row.summary.endswith(".") and row.when and row.where for row in CATALOGUE)
    assert BY_VERB[Verb.EDIT].takes is Takes.BLOCK


def test_in_every_state_people_can_ask_for_status_and_in_every_open_one_they_can_cancel():
    for state in State:
        assert state in BY_VERB[Verb.STATUS].where
        assert (state in BY_VERB[Verb.CANCEL].where) is not state.is_final


def test_each_gate_can_be_approved_on_the_page_that_shows_it_and_nowhere_else():
    assert BY_VERB[Verb.APPROVE].where == {
        State.SPEC_REVIEW: Where.ISSUE,
        State.PLAN_REVIEW: Where.ISSUE,
        State.SCOPE_REVIEW: Where.ISSUE,
        State.CHANGE_REVIEW: Where.CHANGE,
    }
