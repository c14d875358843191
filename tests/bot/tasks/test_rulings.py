"""How votes and rulings move a task, and what makes them fall."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace

from bot.audit import kinds
from bot.audit.record import Who
from bot.model.errors import Refused
from bot.model.state import Gate, State
from bot.tasks.fold import fold
from tests.bot.tasks.history import COMMIT, History


def test_a_vote_alone_moves_nothing() -> None:
    task = History().at_spec_review().ask("spec").vote("spec").task
    assert (task.state, task.let_pass(Gate.SPEC)) == (State.SPEC_REVIEW, None)


def test_a_ruling_that_passes_moves_on_and_names_whose_yes_it_was() -> None:
    task = History().at_spec_review().ask("spec").approve("spec").task
    assert (task.state, task.let_pass(Gate.SPEC).people, task.counted) == (State.PLAN, (7,), {"spec": (7,)})


def test_a_ruling_that_does_not_leaves_the_gate_open() -> None:
    history = History().at_spec_review().ask("spec").vote("spec").rule("spec", is_shown=False)
    assert (history.task.state, history.task.ruled["spec"].missing) == (State.SPEC_REVIEW, ("shown",))


@pytest.mark.parametrize(("gate", "state"), [("spec", State.SPEC_REVIEW), ("plan", State.PLAN_REVIEW)])
def test_what_does_not_hold_when_it_is_carried_out_sends_back(gate: str, state: State) -> None:
    history = History().at_plan_review().ask("plan").approve("plan")
    task = history.rule(gate, "execution", is_shown=False).task
    assert (task.state, task.let_pass(Gate.PLAN), Gate.PLAN in task.reask) == (state, None, True)
    assert task.voids


def test_a_spec_that_is_approved_again_leads_back_to_the_plan_that_is_there() -> None:
    history = History().at_plan_review().ask("plan").rule("spec", "execution", is_shown=False)
    assert history.ask("spec").approve("spec").task.state is State.PLAN_REVIEW


def test_a_plan_that_was_to_be_revised_is_not_shown_again() -> None:
    """The words of `revise` have entered nothing yet."""
    history = History().at_plan_review().ask("plan").say("revise", argument="e" * 64)
    assert history.task.state is State.PLAN
    history.rule("spec", "execution", is_shown=False).ask("spec").approve("spec")
    assert (history.task.state, history.task.feedback) == (State.PLAN, ("e" * 64,))


def test_what_is_asked_anew_takes_older_votes_away() -> None:
    history = History().at_spec_review().ask("spec").vote("spec")
    history.add("base.moved", kinds.BaseMoved("c" * 40)).ask("spec")
    assert history.task.votes(Gate.SPEC) == ()
    assert [(void.gate, void.reason) for void in history.task.voids] == [(Gate.SPEC, "base_moved")]
    again = History().at_spec_review().ask("spec").vote("spec").ask("spec")
    assert len(again.task.votes(Gate.SPEC)) == 1, "the same digest is the same thing"


def test_one_vote_may_be_taken_back_or_all() -> None:
    history = History().at_spec_review().ask("spec").vote("spec").vote("spec", person=8)
    digest = history.task.asked(Gate.SPEC).digest
    history.add("approval.withdrawn", kinds.ApprovalWithdrawn("spec", digest, "withdrawn", "42:908"))
    assert [vote.actor.id for vote in history.task.votes(Gate.SPEC)] == [7]
    history.add("approval.withdrawn", kinds.ApprovalWithdrawn("spec", digest, "place"))
    assert (history.task.votes(Gate.SPEC), history.task.voids[-1].reason) == ((), "place")


def broken(*people: int, **wrong: Any) -> History:
    """Let people break the glass at the spec gate, each with a later day of review, and rule."""
    history = History().at_spec_review().ask("spec")
    digest = history.task.asked(Gate.SPEC).digest
    for due, person in enumerate(people):
        said = kinds.Emergency("spec", digest, f"42:{due}", 1_000 + due)
        history.add("emergency", said, Who(f"github:{person}", "approver", "human"))
    return history.rule("spec", breakers=tuple(dict.fromkeys(people)), **wrong)


def reviews(history: History, person: int, what: str = "spec", digest: str = "") -> int:
    """Let somebody review; who has by then."""
    data = kinds.EmergencyReviewed(what, digest or history.task.glass[0].digest, "42:99", history.now)
    history.add("emergency.reviewed", data, Who(f"github:{person}", "reviewer", "human"))
    return history.task.glass[0].reviewer


def test_what_two_people_let_pass_waits_for_a_review_by_a_third() -> None:
    history = broken(8, 8, 11)
    [glass] = history.task.unreviewed
    assert (glass.gate, glass.breakers, glass.due_ms) == (Gate.SPEC, (8, 11), 1_002)
    assert [reviews(history, person) for person in (8, 11)] == [0, 0]
    assert reviews(history, 12, "plan") == reviews(history, 12, digest="e" * 64) == 0
    assert (reviews(history, 12), history.task.unreviewed) == (12, ())
    assert reviews(history, 9) == 12, "the first one counts"


def test_who_breaks_the_glass_after_the_review_has_not_reviewed_it() -> None:
    history = broken(8, 11)
    before = history.task.glass[0]
    assert reviews(history, 12) == 12
    history.rule("spec", "execution", breakers=(8, 11))
    assert history.task.glass[0].reviewer == 12
    for person in (9, 12):
        said = kinds.Emergency("spec", before.digest, f"42:{person}", 9_000)
        history.add("emergency", said, Who(f"github:{person}", "approver", "human"))
        assert history.task.glass[0].reviewer == (12 if person == 9 else 0)
    assert history.task.unreviewed == (replace(before, breakers=(8, 11, 9, 12)),)


def test_glass_that_lets_nothing_pass_waits_for_nobody() -> None:
    assert broken(8).task.glass == ()


def test_nothing_is_said_about_a_gate_that_does_not_wait() -> None:
    history = History().at_plan_review().ask("plan").vote("spec")
    with pytest.raises(Refused):
        fold(history.records)


def test_a_foreign_commit_is_judged_and_takes_the_approval() -> None:
    history = History().at_change_review().ask("change").approve("change")
    shown = history.task.status_rev
    history.add("commit.foreign", kinds.CommitForeign("d" * 40, "e" * 40, 9))
    task = history.task
    assert (task.state, task.head, task.committers, task.let_pass(Gate.CHANGE)) == (State.QA, "d" * 40, (9,), None)
    assert task.status_rev > shown


def test_the_same_tree_is_the_same_change() -> None:
    history = History().at_change_review().ask("change").approve("change")
    task = history.add("commit.foreign", kinds.CommitForeign("d" * 40, "e" * 40, 9, is_same_tree=True)).task
    assert (task.state, task.head, task.bound_head, task.committers) == (State.CHANGE_REVIEW, "d" * 40, COMMIT, ())
    assert task.let_pass(Gate.CHANGE)
