from __future__ import annotations

from bot.audit import kinds
from bot.model.state import State
from bot.tasks.attempts import LOST
from tests.bot.tasks.history import AGENT, COMMIT, SHA, History


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


def test_qa_passes_only_the_commit_that_it_judged():
    history = History().at_qa().start("qa", round=1)
    verdict = kinds.QaVerdict(4, 1, "d" * 40, SHA, "passed", 2, 2)
    task = history.add("qa.verdict", verdict, AGENT).end("qa", commit=COMMIT).task
    assert task.state is State.FIXING


def test_an_attempt_ends_once():
    history = History().at_spec_review()
    task = history.add("attempt.ended", kinds.AttemptEnded(1, "archive", calls=99), AGENT).task
    assert task.usage.calls == 1


def test_a_lost_attempt_that_is_followed_by_a_good_one_counts_no_more():
    history = History()
    for _ in range(2):
        history.start("spec").end("spec", outcome="fail", code=LOST)
    assert history.task.lost == 2
    assert history.start("spec").spec().end("spec").task.lost == 0


def test_an_archive_that_fails_leaves_the_end_as_it_is():
    history = History().add("task.closed", kinds.TaskClosed("cancelled", "x")).start("archive")
    assert history.end("archive", outcome="fail", code="GW-GIT-AWAY").task.state is State.CANCELLED
