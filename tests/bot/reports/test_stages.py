"""How far a task has come."""

from __future__ import annotations

import pytest

from bot.model.state import Gate, State, Step
from bot.reports.stages import drafted_by, elapsed, spent, stages
from tests.bot.reports.samples import T0, attempt, task


def marks(**changes: object) -> list[str]:
    return [stage.mark for stage in stages(task(**changes), T0)]


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        (State.RECEIVED, ["running", "waits", "waits", "waits", "waits"]),
        (State.SPEC_REVIEW, ["asks", "waits", "waits", "waits", "waits"]),
        (State.PLAN, ["done", "running", "waits", "waits", "waits"]),
        (State.FIXING, ["done", "done", "done", "running", "waits"]),
        (State.CHANGE_REVIEW, ["done", "done", "done", "done", "asks"]),
        (State.DONE, ["done"] * 5),
    ],
)
def test_each_state_has_its_place(state, expected):
    assert marks(state=state) == expected


def test_a_blocked_task_shows_where():
    assert marks(state=State.BLOCKED, blocked_from=State.CODING)[2] == "blocked"


def test_a_paused_task_says_so_in_place_of_running():
    assert marks(state=State.CODING, paused=True)[2] == "paused"


def test_a_task_that_was_stopped_does_not_look_finished():
    early = marks(state=State.CANCELLED, pull=None, attempts=(attempt(1, Step.SPEC, "sonnet", 1, 1),))
    assert early == ["stopped", "waits", "waits", "waits", "waits"]
    assert marks(state=State.EXPIRED, pull=None, attempts=()) == ["stopped", "waits", "waits", "waits", "waits"]


def test_an_attempt_that_runs_counts_until_now():
    import msgspec

    running = msgspec.structs.replace(attempt(1, Step.CODING, "x", 0, 0), ended_ms=0, outcome="")
    assert elapsed(task(attempts=(running,)), T0 + 90_000) == 90_000


def test_cost_is_summed_by_phase_and_deliveries_are_no_phase():
    runs = (
        attempt(1, Step.QA, "sonnet", 1_000, 10),
        attempt(2, Step.QA, "opus", 1_000, 20),
        attempt(3, Step.PUBLISH, "", 9_000, 0),
    )
    (qa,) = spent(task(attempts=runs), T0)
    assert (qa.name, qa.models, qa.attempts, qa.usage.micro_usd, qa.ms) == ("QA", ("sonnet", "opus"), 2, 30, 2_000)
    assert elapsed(task(attempts=runs), T0) == 2_000


def test_a_draft_by_a_person_names_no_model():
    spec = drafted_by(task(), Gate.SPEC)
    assert spec is not None
    assert spec.model == "sonnet"
    assert drafted_by(task(), Gate.PLAN) is None
    assert drafted_by(task(), Gate.CHANGE) is None
