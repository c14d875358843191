from __future__ import annotations

from bot.audit import kinds
from bot.model.state import State
from bot.model.task import Usage
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


def test_one_attempt_without_a_sandbox_marks_the_task_for_good():
    history = History().start("spec").add("gate", kinds.GateResult("sandbox", "bwrap"), AGENT)
    assert not history.task.is_unconfined
    history.add("gate", kinds.GateResult("sandbox", "none"), AGENT)
    assert history.add("gate", kinds.GateResult("sandbox", "bwrap"), AGENT).task.is_unconfined


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


def asked(history: History, attempt: int, call: int, micro_usd: int | None = 40) -> History:
    history.add("model.call", kinds.ModelCall(attempt, call, "claude", "sonnet"), AGENT)
    return history.add("model.result", kinds.ModelResult(attempt, call, "end", 1_000, 50, micro_usd), AGENT)


def test_what_a_lost_attempt_used_counts_although_it_reported_no_end():
    history = History().start("spec")
    asked(asked(history, 1, 1), 1, 2)
    history.add("model.call", kinds.ModelCall(1, 3, "claude", "sonnet"), AGENT)  # killed in its midst
    assert history.task.usage == Usage(3, 2_000, 100, 80), "as it happens"
    lost = kinds.AttemptEnded(1, "spec", LOST)
    task = history.add("attempt.ended", lost, outcome="fail").task
    assert (task.usage, task.attempts[0].outcome) == (Usage(3, 2_000, 100, 80), "fail")
    again = asked(history.start("spec"), 2, 1, None)
    again.add("attempt.ended", kinds.AttemptEnded(2, "spec", "", "", "", 1, 1_000, 50, None), AGENT)
    assert again.task.usage == Usage(4, 3_000, 150, None)
    assert again.task.attempts[1].usage == Usage(1, 1_000, 50, None), "counted once, not twice"


def test_calls_of_an_attempt_that_does_not_run_count_for_nobody():
    history = asked(History().start("spec"), 7, 1)
    assert history.task.usage == Usage()


def test_waiting_for_a_worker_is_no_work():
    history = History().start("spec")
    history.now += 60_000
    assert history.task.attempts[0].heard_ms == 0
    asked(history, 1, 1)
    heard = history.task.attempts[0].heard_ms
    assert heard == history.now - 1
    history.now += 5_000
    ended = history.add("attempt.ended", kinds.AttemptEnded(1, "spec", LOST), outcome="fail").task.attempts[0]
    assert ended.worked(history.now) == history.now - heard
    measured = History().start("spec")
    measured.now += 60_000
    done = measured.spec().add("attempt.ended", kinds.AttemptEnded(1, "spec", dur_ms=4_000), AGENT).task.attempts[0]
    assert done.worked(measured.now) == 4_000


def test_an_archive_that_fails_leaves_the_end_as_it_is():
    history = History().add("task.closed", kinds.TaskClosed("cancelled", "x")).start("archive")
    assert history.end("archive", outcome="fail", code="GW-GIT-AWAY").task.state is State.CANCELLED
