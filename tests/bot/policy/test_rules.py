"""Every rule alone: a case that passes, and what turns it into one that does not."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from bot.model.event import AccountKind
from bot.model.policy import BreakGlass, Delegation, GateRule, Policy
from bot.model.role import Role
from bot.model.ruling import Case, Parts, Vote
from bot.model.state import Gate
from bot.policy.rules import DAY_MS, RULES, TALLIES, barred, judge, objection, review_due

NOW = 100 * DAY_MS
DIGEST, OTHER = "d" * 64, "e" * 64
MIRA, TOM, LENA = 7, 8, 9


def vote(person: int = MIRA, **changes: Any) -> Vote:
    given_one = Vote(
        person, f"42:{100 + person}", DIGEST, "digest", NOW - 1000, AccountKind.HUMAN, Role.WRITE, Role.WRITE,
        is_unchanged=True,
    )  # fmt: skip
    return replace(given_one, **changes)


def case(*votes: Vote, gate: Gate = Gate.SPEC, **changes: Any) -> Case:
    made = Case(gate, "decision", NOW, DIGEST, DIGEST, NOW - 5000, "p" * 64, votes or (vote(),), Parts(TOM, TOM))
    return replace(made, **changes)


def policy(**changes: Any) -> Policy:
    return replace(Policy(), **changes)


def gate(**changes: Any) -> Policy:
    return Policy(spec=GateRule(**changes))


def test_a_clear_yes_passes():
    ruling = judge(Policy(), case())
    assert ruling.passed
    assert not ruling.is_emergency
    assert [outcome.rule for outcome in ruling.outcomes] == list(RULES)
    assert [(tally.person, tally.code) for tally in ruling.tallies] == [(MIRA, "")]


NOT_COUNTED = [
    ("digest", Policy(), vote(digest=OTHER), {}),
    ("person", Policy(), vote(kind=AccountKind.BOT), {}),
    ("person", Policy(), vote(kind=AccountKind.UNKNOWN), {}),
    ("person", Policy(), vote(person=0), {}),
    ("changed", Policy(), vote(is_unchanged=False), {}),
    ("unnamed", policy(digest="required"), vote(method="shown"), {}),
    ("native", policy(native_approval="proven"), vote(method="native"), {}),
    ("native", policy(native_approval="ignored"), vote(method="native"), {}),
    ("native", policy(native_approval="ignored"), vote(method="review"), {}),
    ("late", policy(gate_days=3), vote(at_ms=NOW - 3 * DAY_MS - 1), {"asked_ms": NOW}),
    ("role", Policy(), vote(role_then=Role.READ), {}),
    ("role", Policy(), vote(role_now=Role.READ), {}),
    ("role", Policy(), vote(role_now=Role.NONE), {}),
    ("role", gate(min_role="maintain"), vote(), {}),
    ("role", policy(min_role="admin"), vote(role_then=Role.ADMIN, role_now=Role.MAINTAIN), {}),
    ("approver", gate(approvers=("user:8",)), vote(), {}),
    ("approver", policy(approver_ids=True), vote(), {}),
    ("four_eyes", gate(not_by=("labeller",)), vote(TOM), {}),
    ("four_eyes", gate(not_by=("author",)), vote(TOM), {}),
    ("four_eyes", gate(not_by=("writer",)), vote(), {"parts": Parts(TOM, TOM, writer=(MIRA,))}),
    ("four_eyes", gate(not_by=("committer",)), vote(), {"parts": Parts(TOM, TOM, committer=(MIRA,))}),
    ("four_eyes", gate(not_by=("committer",)), vote(), {"parts": Parts(TOM, TOM, committer=(0,))}),
    ("four_eyes", gate(not_by=("plan",)), vote(), {"parts": Parts(TOM, TOM, plan=(LENA, MIRA))}),
    ("four_eyes", gate(not_by=("labeller",)), vote(delegators=(TOM,)), {}),
]  # fmt: skip


@pytest.mark.parametrize(("code", "rules", "given_vote", "more"), NOT_COUNTED)
def test_a_vote_that_does_not_count_passes_nothing(code: str, rules: Policy, given_vote: Vote, more: dict):
    ruling = judge(rules, case(given_vote, **more))
    assert [tally.code for tally in ruling.tallies] == [code]
    assert not ruling.passed
    assert objection(rules, case(given_vote, **more), given_vote) == code


def test_every_reason_has_its_sentence_and_is_shown_here():
    assert {code for code, *_ in NOT_COUNTED} | {"repeated"} == set(TALLIES)


COUNTED = [
    (policy(native_approval="proven"), vote(method="review")),
    (Policy(), vote(method="native")),
    (gate(approvers=("user:7",)), vote(entries=("user:7",))),
    (gate(min_role="maintain"), vote(role_then=Role.ADMIN, role_now=Role.MAINTAIN)),
    (policy(approver_ids=True, spec=GateRule(approvers=("group:4",))), vote(entries=("group:4",))),
    (gate(not_by=("committer",)), vote()),
]


@pytest.mark.parametrize(("rules", "given_vote"), COUNTED)
def test_a_vote_that_counts(rules: Policy, given_vote: Vote):
    assert judge(rules, case(given_vote)).passed


def test_one_person_is_one_vote_however_often_they_say_it():
    twice = case(vote(event_id="42:1"), vote(event_id="42:2"))
    ruling = judge(gate(quorum=2), twice)
    assert [tally.code for tally in ruling.tallies] == ["", "repeated"]
    assert not ruling.passed


def test_a_stand_in_and_the_person_are_one():
    ruling = judge(gate(quorum=2), case(vote(MIRA), vote(LENA, delegators=(MIRA,))))
    assert [tally.code for tally in ruling.tallies] == ["", "repeated"]


def test_two_people_are_two():
    assert judge(gate(quorum=2), case(vote(MIRA), vote(LENA))).passed


RULES_BROKEN = [
    ("asked", Policy(), Gate.SPEC, {"asked": OTHER}),
    ("asked", Policy(), Gate.SPEC, {"asked": ""}),
    ("open", policy(gate_days=2), Gate.SPEC, {"asked_ms": NOW - 2 * DAY_MS - 1}),
    ("shown", Policy(), Gate.SPEC, {"is_shown": False}),
    ("quorum", gate(quorum=2), Gate.SPEC, {}),
    ("owners", gate(approvers=("owners",)), Gate.SPEC, {"owners": (1, 1)}),
    ("owners", gate(approvers=("owners",)), Gate.SPEC, {"owners": (2,)}),
    ("freeze", Policy(), Gate.CHANGE, {"is_frozen": True}),
    ("freeze", Policy(), Gate.PLAN, {"is_frozen": True, "moment": "execution"}),
    ("scope", Policy(), Gate.CHANGE, {"is_scope_decided": False}),
    ("head", Policy(), Gate.CHANGE, {"is_head": False}),
    ("enforced", Policy(), Gate.CHANGE, {"is_enforced": False}),
]  # fmt: skip


@pytest.mark.parametrize(("rule", "rules", "at", "broken"), RULES_BROKEN)
def test_one_rule_that_objects_is_enough(rule: str, rules: Policy, at: Gate, broken: dict):
    ruling = judge(rules, case(vote(entries=("owners",), owns=(0,)), gate=at, **broken))
    assert [outcome.rule for outcome in ruling.outcomes if not outcome.ok] == [rule]
    assert not ruling.passed


def test_no_vote_no_pass():
    ruling = judge(Policy(), replace(case(), votes=()))
    assert {outcome.rule for outcome in ruling.outcomes if not outcome.ok} == {"votes", "quorum"}


def test_a_freeze_does_not_keep_people_from_reading_a_spec():
    assert judge(Policy(), case(is_frozen=True)).passed
    assert judge(Policy(), case(is_frozen=True, moment="execution")).passed
    assert judge(Policy(), case(gate=Gate.PLAN, is_frozen=True)).passed


def test_owners_of_each_place():
    owned = gate(approvers=("owners",))
    both = case(vote(MIRA, entries=("owners",), owns=(0,)), vote(LENA, entries=("owners",), owns=(1,)), owners=(1, 1))
    assert judge(owned, both).passed


@pytest.mark.parametrize(
    ("broken", "due"),
    [
        ((), 0), (((MIRA, 5),), 0), (((MIRA, 5), (MIRA, 9)), 0), (((MIRA, 5), (LENA, 7)), 7),
        (((MIRA, 5), (LENA, 7), (MIRA, 90), (TOM, 99)), 7),
    ],
)  # fmt: skip
def test_a_review_is_due_as_the_last_person_needed_said_and_nobody_puts_it_off(broken, due):
    assert review_due(broken) == due


class TestBreakingTheGlass:
    def test_two_people_waive_who_and_how_many(self):
        ruling = judge(gate(quorum=3), replace(case(), votes=(), breakers=(MIRA, LENA)))
        assert ruling.passed
        assert ruling.is_emergency

    @pytest.mark.parametrize("people", [(), (MIRA,), (MIRA, MIRA)])
    def test_one_person_does_not(self, people: tuple[int, ...]):
        assert not judge(Policy(), replace(case(), votes=(), breakers=people)).passed

    @pytest.mark.parametrize(
        "broken", [{"asked": OTHER}, {"is_shown": False}, {"is_head": False}, {"is_scope_decided": False}]
    )
    def test_what_was_never_shown_or_judged_stays_shut(self, broken: dict):
        ruling = judge(Policy(), replace(case(gate=Gate.CHANGE, **broken), votes=(), breakers=(MIRA, LENA)))
        assert not ruling.passed

    def test_a_gate_that_passes_anyway_is_no_emergency(self):
        ruling = judge(Policy(emergency=BreakGlass()), case(breakers=(MIRA, LENA)))
        assert ruling.passed
        assert not ruling.is_emergency


def test_barred_names_the_first_part_that_applies():
    rules = gate(not_by=("author", "labeller"))
    assert barred(rules, case()) == {TOM: "author"}


votes = st.builds(
    vote,
    person=st.sampled_from([MIRA, TOM, LENA]),
    digest=st.sampled_from([DIGEST, OTHER]),
    kind=st.sampled_from(list(AccountKind)),
    role_then=st.sampled_from(list(Role)),
    role_now=st.sampled_from(list(Role)),
    is_unchanged=st.booleans(),
    method=st.sampled_from(["digest", "shown", "native"]),
)


@given(st.lists(votes, max_size=5), st.integers(1, 3), st.booleans())
def test_never_passes_without_as_many_different_eligible_people(given_votes: list[Vote], quorum: int, strict: bool):
    """The independent count: people, human, with write then and now, on this digest, untouched, not who labelled."""
    rules = Policy(digest="required" if strict else "optional", spec=GateRule(quorum=quorum, not_by=("labeller",)))
    people = {
        v.person
        for v in given_votes
        if v.digest == DIGEST and v.kind == "human" and v.is_unchanged and v.person != TOM
        and v.role_then in ("write", "maintain", "admin") and v.role_now in ("write", "maintain", "admin")
        and not (strict and v.method == "shown")
    }  # fmt: skip
    assert judge(rules, replace(case(), votes=tuple(given_votes))).passed == (len(people) >= quorum)


def test_who_was_ever_stood_in_for_has_had_the_others_parts() -> None:
    """The spec was approved in Lena's name: Lena does not approve the plan, today or when she is back."""
    for since, until, counts in (("1970-01-01", "2999-01-01", False), ("1970-01-01", "1970-01-02", False),
                                 ("2998-01-01", "2999-01-01", True)):  # fmt: skip
        given = Policy(plan=GateRule(not_by=("spec",)), delegations=(Delegation(LENA, MIRA, since, until),))
        asked = case(vote(LENA), gate=Gate.PLAN, parts=Parts(TOM, TOM, spec=(MIRA,)))
        assert judge(given, asked).passed is counts
        assert (barred(given, asked).get(LENA) == "spec") is not counts


def test_the_role_that_the_verb_asks_for_is_asked_for_again() -> None:
    strict = policy(verb_roles={"approve": "maintain"})
    assert [tally.code for tally in judge(strict, case()).tallies] == ["role"]
    assert judge(strict, case(vote(role_then=Role.MAINTAIN, role_now=Role.ADMIN))).passed
