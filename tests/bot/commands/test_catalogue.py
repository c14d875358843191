"""Looking verbs up."""

from __future__ import annotations

from bot.commands.catalogue import entry, possible, suggestion
from bot.model.command import Command, Verb
from bot.model.manners import Manners
from bot.model.state import State


def test_each_verb_is_found():
    assert all(entry(verb).verb is verb for verb in Verb)


def test_what_is_possible_depends_on_state_and_page():
    assert Verb.FIX in possible(State.CHANGE_REVIEW, on_change=True)
    assert Verb.FIX not in possible(State.CHANGE_REVIEW, on_change=False)
    assert possible(State.DONE, on_change=False) == (Verb.REVIEWED, Verb.STATUS, Verb.HELP)


def test_a_near_word_is_suggested_and_a_far_one_is_not():
    assert suggestion("Aprove") == "approve"
    assert suggestion("banana") == ""


def test_every_example_is_what_the_grammar_reads():
    from bot.commands.grammar import parse
    from bot.model.verbs import CATALOGUE

    for row in CATALOGUE:
        said = parse(f"/{row.verb} {row.example}", bot_name="gatewright", manners=Manners())
        assert said == (Command(row.verb, row.example),)
