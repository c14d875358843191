"""Look verbs up in the one table that help, docs, grammar and permission share."""

from __future__ import annotations

import difflib

from bot.model.command import Verb
from bot.model.state import State
from bot.model.verbs import BY_VERB, CATALOGUE, Entry, Takes, Where

__all__ = ["CATALOGUE", "Entry", "Takes", "Where", "entry", "possible", "suggestion"]


def entry(verb: Verb) -> Entry:
    """Find a verb's row."""
    return BY_VERB[verb]


def possible(state: State, *, on_change: bool) -> tuple[Verb, ...]:
    """List the verbs that count in a state, on an issue or on a change."""
    return tuple(row.verb for row in CATALOGUE if (where := row.where.get(state)) and where.holds(on_change=on_change))


def suggestion(word: str) -> str:
    """Name the verb that was probably meant, empty where none is near."""
    near = difflib.get_close_matches(word.lower(), list(Verb), n=1, cutoff=0.6)
    return str(near[0]) if near else ""
