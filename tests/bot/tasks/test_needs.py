from __future__ import annotations

import pytest

from bot.audit import kinds
from bot.audit.record import Who
from bot.model.state import Gate, State, Step
from bot.tasks.need import Ask, Close, Exhaust, Purpose, Rules, Seal, Start, Watch, Write
from bot.tasks.needs import DAY_MS, UNWRITTEN_MS, needs
from tests.bot.tasks.history import COMMIT, SHA, History

RULES = Rules(qa_rounds=2, instance="test")


def wanted(history: History, now: int | None = None) -> list:
    return list(needs(history.task, RULES, history.now if now is None else now))


def keys(history: History) -> set[str]:
    return {need.key for need in wanted(history) if isinstance(need, Write)}


def done(history: History, *purposes: str) -> History:
    for each in purposes:
        purpose, _, rev = each.partition(":")
        history.add("forge.done", kinds.ForgeDone(purpose, int(rev or 0), "77"))
    return history


def test_a_new_task_starts_its_spec_before_anything_is_posted():
    assert wanted(History()) == [Start(Step.SPEC), Write(Purpose.PROGRESS, 0)]


def test_a_running_attempt_is_watched_and_nothing_else_is_started():
    assert wanted(History().start("spec"))[0] == Watch(1)


def test_the_seal_waits_for_the_review_of_an_emergency_until_it_is_due():
    history = emergency().add("task.closed", kinds.TaskClosed("cancelled", "cancelled"))
    history = done(history, *keys(history))
    due = history.task.glass[0].due_ms
    assert (wanted(history), wanted(history, due), wanted(history, due + 1)) == ([], [], [Seal()])
    data = kinds.EmergencyReviewed("spec", history.task.glass[0].digest, "42:9", history.now)
    history.add("emergency.reviewed", data, Who("github:12", "reviewer", "human"))
    assert wanted(history) == [Seal()]


def emergency() -> History:
    """Two people let a spec pass, and somebody cancels."""
    history = History().at_spec_review().ask("spec")
    digest = history.task.asked(Gate.SPEC).digest
    for person in (7, 11):
        broke = kinds.Emergency("spec", digest, f"42:{person}", history.now + 5 * DAY_MS)
        history.add("emergency", broke, Who(f"github:{person}", "approver", "human"))
    return history.rule("spec", breakers=(7, 11)).say("cancel")


def test_a_draft_is_asked_about_then_shown_once():
    history = History().at_spec_review()
    assert Ask(Gate.SPEC, 1) in wanted(history)
    history.ask("spec")
    assert "gate.spec:1" in keys(history)
    assert "gate.spec:1" not in keys(done(history, "gate.spec:1"))


def test_a_new_draft_is_asked_about_anew_and_the_old_comment_folded():
    history = done(History().at_spec_review().ask("spec"), "gate.spec:1").spec(2, source="github:7")
    assert Ask(Gate.SPEC, 2) in wanted(history)
    assert {"fold.spec:1", "gate.spec:2"} <= keys(history.ask("spec", 2))


def test_what_is_bound_changes_and_the_same_comment_shows_the_new_digest():
    history = done(History().at_spec_review().ask("spec"), "gate.spec:1")
    assert not [need for need in wanted(history) if isinstance(need, Ask)]
    history.add("profile.set", kinds.ProfileSet("sonnet", "opus", "haiku", "sonnet", "sonnet"))
    assert Ask(Gate.SPEC, 1) in wanted(history)
    history.ask("spec")
    assert not [need for need in wanted(history) if isinstance(need, Ask)]
    assert {"gate.spec.again:2"} == {key for key in keys(history) if key.startswith(("gate", "fold"))}


def test_a_paused_task_starts_nothing():
    history = History().at_spec_review().ask("spec").approve("spec").say("pause")
    assert not [need for need in wanted(history) if isinstance(need, Start)]


def test_a_gate_that_nobody_passes_expires():
    history = History().at_spec_review().ask("spec")
    late = history.now + 15 * DAY_MS
    assert Close(State.EXPIRED, "nobody decided at the spec gate within 14 days") in wanted(history, late)
    assert not [need for need in wanted(history) if isinstance(need, Close)]


def test_qa_rounds_run_out():
    history = History().at_qa().judged(passed=False)
    assert Start(Step.QA_FIXER) in wanted(history)
    history.start("qa_fixer").end("qa_fixer", commit=COMMIT).judged(passed=False, number=2)
    assert Exhaust() in wanted(history)


def test_a_published_change_is_opened_before_its_gate_is_asked():
    history = History().at_qa().judged(passed=True).published()
    assert "pull:1" in keys(history)
    assert not [need for need in wanted(history) if isinstance(need, Ask)]
    history.add("pull", kinds.Pull(9, COMMIT, "gatewright/x"))
    assert Ask(Gate.CHANGE, 1) in wanted(history)


def test_the_status_of_a_change_follows_its_approval():
    history = History().at_change_review().ask("change")
    pending = {key for key in keys(history) if key.startswith("status")}
    history.approve("change")
    assert pending == {"status:1"}
    assert {key for key in keys(history) if key.startswith("status")} == {"status:2"}


def test_used_up_rounds_open_a_draft_before_the_block_is_explained():
    history = History().at_qa().judged(passed=False)
    history.add("gate", kinds.GateResult("qa_rounds", "exhausted")).published()
    assert "pull:1" in keys(history)
    assert "blocked:1" not in keys(history)
    assert "blocked:1" in keys(history.add("pull", kinds.Pull(9, COMMIT, "gatewright/x", draft=True)))


def test_commands_are_acknowledged_and_refusals_answered_where_they_were_said():
    history = History().say("status", event="42:100", answer=SHA)
    history.say("approve", accepted=False, event="9:101", answer=SHA)
    writes = [need for need in wanted(history) if isinstance(need, Write) and need.heard]
    assert [(w.purpose, w.rev) for w in writes] == [
        (Purpose.REACT, 100),
        (Purpose.REPLY, 1600),
        (Purpose.REPLY, 1616),
    ]


def test_a_review_is_not_reacted_to_but_its_refusal_is_answered():
    assert not [k for k in keys(History().say("status", event="9:r55")) if k.startswith(("react", "reply"))]
    refused = History().say("approve", accepted=False, event="9:r55", answer=SHA)
    assert {"reply.review:880"} == {k for k in keys(refused) if k.startswith(("react", "reply"))}


def test_a_commit_that_a_person_pushed_does_not_make_control_ask_for_ever():
    history = History().at_change_review().ask("change")
    history.add("pull", kinds.Pull(9, "e" * 40, "gatewright/x"))
    assert not [need for need in wanted(history) if isinstance(need, Ask)]


def test_an_ended_task_says_so_is_sealed_once_and_then_rests():
    history = done(History(), "progress").add("task.closed", kinds.TaskClosed("cancelled", "x"))
    assert keys(history) == {"closed:0"}
    done(history, "closed")
    assert wanted(history) == [Seal()]
    history.add("seal", kinds.Seal("cancelled", "", "", 0, 0))
    assert wanted(history) == []


def test_an_end_by_a_persons_word_is_written_down_as_an_end():
    history = done(History(), "progress", "react", "closed").say("cancel")
    done(history, *keys(history))
    assert wanted(history) == [Close(State.CANCELLED, "cancelled")]
    history.add("task.closed", kinds.TaskClosed("cancelled", "cancelled"))
    assert wanted(history) == [Seal()]


@pytest.mark.parametrize("outcome", ["ok", "fail"])
def test_nothing_is_sealed_while_an_attempt_runs(outcome: str):
    history = History().at_change_review().start("archive")
    history.add("task.closed", kinds.TaskClosed("done", "merged"))
    done(history, *keys(history))
    assert [type(need) for need in wanted(history)] == [Watch]
    history.end("archive", outcome=outcome)
    assert wanted(history) == [Seal()]


def test_what_a_forge_refuses_for_a_day_no_longer_holds_up_the_seal():
    history = History().add("task.closed", kinds.TaskClosed("cancelled", "x"))
    assert Seal() not in wanted(history)
    late = needs(history.task, RULES, history.now + UNWRITTEN_MS + 1)
    assert late[0] == Seal()


def test_a_superseded_change_is_closed():
    history = History().at_change_review().add("task.blocked", kinds.TaskBlocked("GW-ISSUE-AWAY"))
    history.say("revise", argument=SHA, respecify=SHA)
    assert "pull.close:1" in keys(history)


def test_each_ruling_that_lets_a_change_pass_has_its_own_try_at_delivering_the_evidence():
    history = History().at_change_review().ask("change").approve("change")
    assert Start(Step.ARCHIVE) in wanted(history)
    history.start("archive").end("archive", outcome="fail", code="GW-GIT-REJECTED")
    assert Start(Step.ARCHIVE) not in wanted(history), "the same is not tried again"
    asked = history.task.asked(Gate.CHANGE)
    history.add("approval.withdrawn", kinds.ApprovalWithdrawn("change", asked.digest, "withdrawn"))
    history.approve("change")
    assert Start(Step.ARCHIVE) in wanted(history)
