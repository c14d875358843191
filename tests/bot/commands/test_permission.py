"""Who may say what, where and when; no unless everything says yes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.commands.permission import NOT_HUMAN, OWN, SILENT, decide
from bot.model.command import Command, Verb
from bot.model.event import AccountKind, Actor
from bot.model.manners import Manners
from bot.model.policy import Policy
from bot.model.role import Role
from bot.model.state import State
from bot.model.verbs import BY_VERB

ME = Actor(999, "gatewright[bot]", AccountKind.BOT)
MIRA = Actor(40077, "mira-k")
WHOLE = {Verb.EDIT: Command(Verb.EDIT, block="# T\n"), Verb.MODEL: Command(Verb.MODEL, "coding=opus")}


def asked(verb: Verb) -> Command:
    return WHOLE.get(verb, Command(verb, "because"))


def ask(verb: Verb = Verb.APPROVE, **changed: object):
    facts = {
        "state": State.SPEC_REVIEW,
        "role": Role.WRITE,
        "actor": MIRA,
        "me": ME,
        "policy": Policy(),
        "on_change": False,
        "manners": Manners(),
    }
    return decide(changed.pop("command", asked(verb)), **{**facts, **changed})


def test_a_person_with_the_role_may_approve_at_a_gate():
    assert ask() is None


@pytest.mark.parametrize("kind", [AccountKind.BOT, AccountKind.UNKNOWN])
@pytest.mark.parametrize("verb", list(Verb))
def test_no_account_that_is_not_known_to_be_a_person_may_anything(kind, verb):
    refused = ask(verb, actor=Actor(1, "renovate", kind), role=Role.ADMIN)
    assert refused is not None
    assert refused.code == NOT_HUMAN
    assert refused.code in SILENT


def test_the_bot_does_not_listen_to_itself_even_with_a_persons_token():
    me = Actor(MIRA.id, "mira-k")
    refused = ask(me=me, role=Role.ADMIN)
    assert refused is not None
    assert refused.code == OWN


@given(
    st.sampled_from(list(Verb)),
    st.sampled_from(list(State)),
    st.sampled_from(list(Role)),
    st.sampled_from([Role.WRITE, Role.MAINTAIN, Role.ADMIN]),
    st.sampled_from([Role.WRITE, Role.MAINTAIN, Role.ADMIN]),
    st.booleans(),
)
def test_only_roles_that_policy_asks_for_get_through(verb, state, role, min_role, verb_role, on_change):
    policy = Policy(min_role=min_role.value, verb_roles={verb.value: verb_role.value})
    refused = ask(verb, state=state, role=role, policy=policy, on_change=on_change)
    if refused is None:
        assert role.at_least(Role.READ if BY_VERB[verb].readers_too else Role.WRITE)
        assert BY_VERB[verb].readers_too or (role.at_least(min_role) and role.at_least(verb_role))
        assert BY_VERB[verb].where[state].holds(on_change=on_change)
    else:
        assert refused.code.startswith("GW-COMMAND-")
        assert refused.what


@pytest.mark.parametrize("role", [Role.NONE, Role.READ, Role.TRIAGE])
def test_a_weak_role_is_told_which_one_it_takes(role):
    refused = ask(role=role)
    assert refused is not None
    assert refused.code == "GW-COMMAND-ROLE"
    assert "write" in refused.fix


@pytest.mark.parametrize("verb", [Verb.STATUS, Verb.HELP])
@pytest.mark.parametrize("state", list(State))
def test_readers_may_ask_at_any_time_and_strangers_never(verb, state):
    assert ask(verb, role=Role.READ, state=state) is None
    assert ask(verb, role=Role.NONE, state=state) is not None


@pytest.mark.parametrize("state", [s for s in State if s.gate is None])
def test_nothing_is_approved_where_nothing_is_asked(state):
    refused = ask(state=state)
    assert refused is not None
    assert refused.code == "GW-COMMAND-STATE"
    assert "`status`" in refused.fix


def test_a_refusal_lists_what_is_possible_now():
    refused = ask(Verb.RETRY)
    assert refused is not None
    assert "`approve`, `revise`" in refused.fix


@pytest.mark.parametrize(
    ("verb", "state", "on_change", "page"),
    [
        (Verb.APPROVE, State.CHANGE_REVIEW, False, "pull request"),
        (Verb.APPROVE, State.PLAN_REVIEW, True, "issue"),
        (Verb.FIX, State.CHANGE_REVIEW, False, "pull request"),
    ],
)
def test_a_command_on_the_wrong_page_is_told_where_it_counts(verb, state, on_change, page):
    refused = ask(verb, state=state, on_change=on_change)
    assert refused is not None
    assert refused.code == "GW-COMMAND-PLACE"
    assert page in refused.fix


def test_people_read_the_word_of_their_own_forge():
    refused = ask(state=State.CHANGE_REVIEW, manners=Manners(change_word="merge request"))
    assert refused is not None
    assert "merge request" in refused.fix
    assert "pull request" not in refused.what + refused.fix


@pytest.mark.parametrize("verb", [Verb.REVISE, Verb.EDIT])
def test_a_verb_that_needs_text_is_refused_without(verb):
    refused = ask(command=Command(verb, " ", "\n"))
    assert refused is not None
    assert refused.code == "GW-COMMAND-ARGUMENT"
