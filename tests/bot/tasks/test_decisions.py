from __future__ import annotations

import pytest

from bot.audit import kinds
from bot.model.errors import Refused
from bot.model.state import Gate, State
from tests.bot.tasks.history import History


def test_revise_takes_the_approvals_and_the_finished_work_with_it():
    history = History().at_change_review().add("task.blocked", kinds.TaskBlocked("GW-ISSUE-AWAY"))
    task = history.say("revise", argument="d" * 64, respecify="e" * 64).task
    assert (task.state, task.generation, task.head, task.pull) == (State.SPEC, 2, "", None)
    assert task.stale_pulls == (9,)
    assert task.approval(Gate.SPEC) is None
    assert task.approval(Gate.PLAN) is None
    assert task.feedback == ("d" * 64,)


def test_revise_at_the_plan_gate_keeps_the_spec():
    task = History().at_plan_review().say("revise", argument="d" * 64).task
    assert task.state is State.PLAN
    assert task.approval(Gate.SPEC) is not None
    assert task.approval(Gate.PLAN) is None


def test_an_edit_by_a_person_needs_approval_like_any_other_draft():
    history = History().at_spec_review().ask("spec").approve("spec")
    edited = History().at_spec_review().ask("spec").spec(2, source="github:7").task
    assert history.task.state is State.PLAN
    assert (edited.state, edited.spec.rev, edited.spec.author) == (State.SPEC_REVIEW, 2, "github:7")
    assert edited.approval(Gate.SPEC) is None


def test_a_refused_command_moves_nothing():
    history = History().at_spec_review()
    before = history.task.state
    task = history.say("cancel", accepted=False, answer="f" * 64).task
    assert task.state is before
    assert task.heard[-1].answer == "f" * 64


def test_pause_is_a_flag_beside_the_state():
    history = History().at_spec_review().say("pause")
    assert history.task.paused
    assert history.task.state is State.SPEC_REVIEW
    assert not history.say("resume").task.paused


def test_an_approval_where_nothing_is_asked_breaks_the_journal():
    history = History().start("spec")
    history.vote("spec")
    with pytest.raises(Refused):
        _ = history.task


def test_a_new_draft_voids_the_approvals_that_rest_on_it():
    history = History().at_plan_review().ask("plan")
    assert history.task.approval(Gate.SPEC) is not None
    history.add("task.blocked", kinds.TaskBlocked("GW-X")).say("revise", respecify="e" * 64, argument="d" * 64)
    assert history.start("spec").spec(2).task.approvals == ()


def test_a_withdrawn_approval_is_gone_and_may_be_given_again():
    history = History().at_change_review().ask("change").approve("change")
    digest = history.task.approval(Gate.CHANGE).digest
    history.add("approval.withdrawn", kinds.ApprovalWithdrawn("change", digest, "a commit was pushed"))
    assert history.task.approval(Gate.CHANGE) is None
    assert history.approve("change").task.approval(Gate.CHANGE) is not None


def test_fix_takes_the_approval_and_the_rounds_back():
    task = History().at_change_review().ask("change").approve("change").say("fix", argument="d" * 64).task
    assert (task.state, task.rounds, task.approval(Gate.CHANGE)) == (State.FIXING, 0, None)
    assert task.feedback == ("d" * 64,)


def test_the_profile_is_the_one_that_was_set_last():
    task = History().add("profile.set", kinds.ProfileSet("a", "b", "c", "d", "e")).task
    assert (task.profile.spec, task.profile.qa_fixer) == ("a", "e")


@pytest.mark.parametrize(("code", "state"), [("GW-SECRET-FOUND", State.QA), ("GW-PHASE-TIMEOUT", State.FIXING)])
def test_a_retry_after_a_push_that_was_refused_begins_with_the_push(code, state):
    history = History().at_qa().judged(passed=False).start("qa_fixer").end("qa_fixer", outcome="fail", code=code)
    assert (history.task.state, history.task.blocked_from) == (State.BLOCKED, State.FIXING)
    assert history.say("retry").task.state is state
