from __future__ import annotations

from msgspec.structs import replace

from bot.model.event import Actor, ForgeKind, Repo
from bot.model.gates import Approval, Artifact, Glass, Request
from bot.model.state import Gate, Phase, State, Step
from bot.model.task import TASK_ID, Attempt, Origin, Profile, Task, Usage, new_task_id

REPO = Repo(ForgeKind.GITHUB, "github.com", 7, "pay/core")
ORIGIN = Origin("42-k7f3qd", REPO, 42, Actor(1, "mira"), "main", "b" * 40, "a" * 64)


def task(**fields: object) -> Task:
    return Task(origin=ORIGIN, state=State.SPEC, profile=Profile(), size=1, opened_ms=1, changed_ms=1, **fields)


def test_ids_name_the_issue_and_are_not_guessed():
    ids = {new_task_id(42) for _ in range(500)}
    assert len(ids) == 500
    assert all(TASK_ID.match(each) and each.startswith("42-") for each in ids)


def test_ids_hold_no_letters_that_are_read_for_others():
    assert not {"i", "l", "o", "u"} & set("".join(new_task_id(0)[2:] for _ in range(300)))


def test_what_is_no_id_is_not_taken_for_one():
    wrong = [
        "", "42", "-k7f3qd", "42-k7f3q", "42-k7f3qdd", "042-k7f3qd", "42-k7f3ql", "42-K7F3QD", "42-k7f3qd ",
        "../42-k7f3qd",
    ]  # fmt: skip
    assert [each for each in wrong if TASK_ID.fullmatch(each)] == []


def test_ends_are_ends_and_gates_are_gates():
    assert {s for s in State if s.is_final} == {State.DONE, State.CANCELLED, State.REJECTED, State.EXPIRED}
    assert {s: s.gate for s in State if s.gate} == {
        State.SPEC_REVIEW: Gate.SPEC, State.PLAN_REVIEW: Gate.PLAN, State.SCOPE_REVIEW: Gate.SCOPE,
        State.CHANGE_REVIEW: Gate.CHANGE,
    }  # fmt: skip


def test_steps_that_ask_a_model_are_the_phases_of_a_profile():
    phases = [step.phase for step in Step if step.phase]
    assert phases == list(Phase)
    assert [Profile("a", "b", "c", "d", "e").model(phase) for phase in phases] == ["a", "b", "c", "d", "e"]
    assert Step.PUBLISH.phase is Step.ARCHIVE.phase is None


def test_usage_adds_up_and_a_price_that_is_not_known_stays_so():
    assert Usage(1, 10, 2, 30) + Usage(2, 5, 1, 7) == Usage(3, 15, 3, 37)
    assert (Usage(1, 10, 2, 30) + Usage(1, 1, 1, None)).micro_usd is None
    assert Usage(3, 15, 3, 37) - Usage(2, 5, 1, 7) == Usage(1, 10, 2, 30)
    assert (Usage() - Usage(1, 1, 1, None)).micro_usd is None


def test_a_task_knows_what_runs_and_what_all_of_it_used():
    done = Attempt(1, Step.SPEC, "m", 1, outcome="ok", usage=Usage(1, 10, 2, 30))
    now = Attempt(2, Step.PLANNING, "m", 2)
    assert task(attempts=(done, now)).running == now
    assert task(attempts=(done,)).running is None
    assert task(attempts=(done, done)).usage == Usage(2, 20, 4, 60)
    assert done.usage.tokens == 12


def test_an_attempt_works_from_when_its_worker_is_heard_or_as_long_as_it_says():
    waiting = Attempt(1, Step.SPEC, "m", 1_000)
    assert waiting.worked(5_000) == 4_000
    assert replace(waiting, heard_ms=4_500).worked(5_000) == 500
    done = replace(waiting, heard_ms=4_500, ended_ms=6_000, outcome="ok")
    assert done.worked(9_000) == 1_500
    assert replace(done, dur_ms=1_900).worked(9_000) == 1_900
    assert replace(done, dur_ms=10**9).worked(9_000) == 5_000, "no longer than since it was ordered"
    assert replace(waiting, heard_ms=9_000).worked(5_000) == 0, "a clock that was set back"


def test_the_newest_counts_and_the_older_can_be_found():
    drafts = tuple(Artifact(Gate.SPEC, rev, "a" * 64, "c" * 64, "model") for rev in (1, 2))
    asked = tuple(Request(Gate.SPEC, rev, str(rev), rev) for rev in (1, 2))
    given = tuple(Approval(Gate.SPEC, rev, str(rev), Actor(7, ""), "write", rev) for rev in (1, 2))
    whole = task(spec=drafts[1], drafts=drafts, requested=asked, approvals=given)
    assert (whole.artifact(Gate.SPEC), whole.asked(Gate.SPEC), whole.approval(Gate.SPEC)) == (
        drafts[1], asked[1], given[1],
    )  # fmt: skip
    assert whole.draft(Gate.SPEC, 1) == drafts[0]
    assert whole.draft(Gate.PLAN, 1) is whole.artifact(Gate.PLAN) is whole.asked(Gate.PLAN) is None
    assert whole.artifact(Gate.CHANGE) is None


def test_an_emergency_waits_until_somebody_has_reviewed_it():
    spec, plan = (Glass(gate, "d" * 64, (7, 11), 1, 9) for gate in (Gate.SPEC, Gate.PLAN))
    at = task(glass=(spec, replace(plan, reviewer=12)))
    assert (at.unreviewed, task().unreviewed) == ((spec,), ())
