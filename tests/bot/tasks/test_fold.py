from __future__ import annotations

import pytest

from bot.audit import kinds
from bot.model.errors import Refused
from bot.model.event import ForgeKind
from bot.model.task import Gate, State, Step, Usage
from bot.tasks.attempts import LOST
from bot.tasks.fold import fold
from tests.bot.tasks.history import AGENT, COMMIT, SHA, History


def test_a_journal_opens_with_what_the_task_is_about():
    task = History().task
    assert (task.state, task.origin.issue, task.origin.repo.forge) == (State.RECEIVED, 42, ForgeKind.GITHUB)
    assert task.origin.repo.key == "github:github.example:5"


def test_the_whole_way_to_a_reviewed_change():
    history = History().at_change_review()
    task = history.task
    assert task.state is State.CHANGE_REVIEW
    assert [a.step for a in task.attempts] == [Step.SPEC, Step.PLANNING, Step.CODING, Step.QA, Step.PUBLISH]
    assert task.usage == Usage(5, 500, 100, 7_500)
    assert task.branch == "gatewright/42-k7f3qd-x"
    assert task.steps == ((1, COMMIT),)


def test_folding_in_pieces_is_folding_at_once():
    history = History().at_change_review()
    records = history.records
    for cut in range(1, len(records)):
        assert fold(records[cut:], fold(records[:cut])) == history.task


def test_a_failed_verdict_goes_to_the_fixer_and_a_passed_one_on():
    failed = History().at_qa().judged(passed=False)
    assert (failed.task.state, failed.task.rounds) == (State.FIXING, 1)
    failed.start("qa_fixer").end("qa_fixer", commit=COMMIT)
    assert failed.task.state is State.QA
    assert failed.judged(passed=True, number=2).task.state is State.PUBLISHING


def test_used_up_rounds_end_blocked_with_a_draft_and_retry_goes_on_fixing():
    history = History().at_qa().judged(passed=False)
    history.add("gate", kinds.GateResult("qa_rounds", "exhausted")).published()
    task = history.task
    assert (task.state, task.blocked_code) == (State.BLOCKED, "GW-QA-ROUNDS")
    again = history.say("retry").task
    assert (again.state, again.rounds, again.blocked_code) == (State.FIXING, 0, "")


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


def test_vanished_workers_are_replaced_twice_and_then_block():
    history = History()
    for _ in range(2):
        history.start("spec").end("spec", outcome="fail", code=LOST)
        assert history.task.state is State.SPEC
    task = history.start("spec").end("spec", outcome="fail", code=LOST).task
    assert (task.state, task.blocked_code) == (State.BLOCKED, LOST)


def test_any_other_failure_blocks_at_once_with_its_code_and_retry_returns():
    history = History().start("spec")
    history.end("spec", outcome="timeout", code="GW-PHASE-TIMEOUT")
    assert (history.task.state, history.task.blocked_from) == (State.BLOCKED, State.SPEC)
    assert history.say("retry").task.state is State.SPEC


def test_pause_is_a_flag_beside_the_state():
    history = History().at_spec_review().say("pause")
    assert history.task.paused
    assert history.task.state is State.SPEC_REVIEW
    assert not history.say("resume").task.paused


def test_a_write_that_began_and_did_not_end_is_remembered():
    history = History().add("forge.intent", kinds.ForgeIntent("gate.spec", 1))
    assert history.task.intents == ("gate.spec:1",)
    history.add("forge.done", kinds.ForgeDone("gate.spec", 1, "9912"))
    assert history.task.intents == ()
    assert history.task.posted == {"gate.spec:1": "9912"}


def test_an_approval_where_nothing_is_asked_breaks_the_journal():
    history = History().start("spec")
    history.approve("spec")
    with pytest.raises(Refused):
        _ = history.task


def test_a_late_report_of_an_ended_task_changes_nothing_but_the_account():
    history = History().start("spec")
    history.add("task.closed", kinds.TaskClosed("cancelled", "the label was removed"))
    task = history.end("spec", outcome="cancelled").task
    assert (task.state, task.usage.calls) == (State.CANCELLED, 1)
    assert task.running is None


def test_progress_and_pushes_are_shown_and_archived_separately():
    history = History().at_qa()
    history.add("progress", kinds.Progress(3, 1, 4), AGENT)
    history.add("pushed", kinds.Pushed(3, "refs/gatewright/audit/42-k7f3qd", COMMIT, 7), AGENT)
    task = history.task
    assert (task.steps_done, task.steps_total, task.archived, task.branch) == (1, 4, 7, "")
    assert task.source_sha256 == SHA
