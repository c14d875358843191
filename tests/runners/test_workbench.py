from __future__ import annotations

import msgspec
import pytest

from bot.audit.kinds import FileChange
from bot.model.task import Gate, Step
from runners.workbench import first_run, recordable
from tests.runners.stage import SPEC, Stage


def test_a_path_too_long_for_a_record_is_named_by_its_beginning_and_digest() -> None:
    long = "/".join(["directory"] * 80)
    assert recordable("calc.py") == "calc.py"
    assert recordable(long) != recordable(long + "x")
    msgspec.convert({"attempt": 1, "path": recordable(long), "op": "add"}, FileChange)


@pytest.mark.parametrize(
    ("step", "changes", "done", "run"),
    [
        (Step.SPEC, {}, 0, 0),
        (Step.CODING, {}, 2, 2),
        (Step.QA, {"round": 2}, 0, 1),
        (Step.QA_FIXER, {"round": 2}, 0, 0),
        (Step.QA_FIXER, {"round": 1}, 0, 0),
    ],
)
def test_recordings_know_which_run_comes_next(
    stage: Stage, step: Step, changes: dict[str, int], done: int, run: int
) -> None:
    assert first_run(stage.order(step, **changes), done) == run


def test_a_second_draft_is_the_second_run(stage: Stage) -> None:
    order = stage.order(Step.SPEC, spec=stage.artifact(Gate.SPEC, SPEC, rev=1))
    assert first_run(order, 0) == 1
