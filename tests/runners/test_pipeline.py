from __future__ import annotations

import asyncio

import pytest
from structlog.testing import capture_logs

from bot.model.state import Step
from runners.pipeline import stopped
from tests.runners.stage import SPEC, Stage, text


async def test_a_model_that_fails_ends_the_attempt_with_its_code_and_what_to_do(stage: Stage) -> None:
    stage.record(spec=[])
    reports = await stage.perform(stage.order(Step.SPEC))
    assert (reports.end["outcome"], reports.end["data"]["code"]) == ("fail", "GW-MODEL-ANSWER")
    assert "fix:" in reports.explanation()


async def test_a_model_string_that_leads_nowhere_is_explained(stage: Stage) -> None:
    reports = await stage.perform(stage.order(Step.SPEC, model="sonet"))
    assert reports.end["data"]["code"] == "GW-MODEL-FORM"
    assert "`sonnet`" in reports.explanation()


async def test_a_base_commit_that_is_gone_is_explained(stage: Stage) -> None:
    reports = await stage.perform(stage.order(Step.SPEC, base_commit="a" * 40))
    assert reports.end["data"]["code"] == "GW-GIT-BASE"


async def test_an_error_nobody_foresaw_still_ends_the_attempt_and_tells_no_details(stage: Stage) -> None:
    order = stage.order(Step.SPEC, issue_blob=stage.blobs.put(b"not json, token=abc"))
    with capture_logs():
        reports = await stage.perform(order)
    assert reports.end["data"]["code"] == "GW-WORKER-CRASH"
    assert "DecodeError" in reports.explanation()
    assert "token=abc" not in reports.explanation()


async def test_usage_is_summed_from_the_calls_of_the_attempt(stage: Stage) -> None:
    stage.record(spec=[text("no"), text(SPEC)])
    reports = await stage.perform(stage.order(Step.SPEC))
    assert reports.end["data"]["calls"] == 2


@pytest.mark.parametrize("step", [Step.QA, Step.QA_FIXER])
async def test_an_order_that_comes_too_early_says_so(stage: Stage, step: Step) -> None:
    reports = await stage.perform(stage.order(step))
    assert reports.end["data"]["code"] == "GW-ORDER-HEAD"


async def test_the_wall_clock_ends_a_phase_that_writes_nothing_too(stage: Stage) -> None:
    stage.record(spec=[[{"calls": [{"tool": "search", "arguments": {"pattern": "x"}}]}] * 15 + text(SPEC)])
    reports = await stage.perform(stage.order(Step.SPEC, wall_seconds=0.05))
    assert (reports.end["outcome"], reports.end["data"]["code"]) == ("timeout", "GW-PHASE-TIMEOUT")


@pytest.mark.parametrize("scope", ["task", "day"])
async def test_a_wall_clock_that_is_a_budgets_names_the_budget(stage: Stage, scope: str) -> None:
    stage.record(spec=[[{"calls": [{"tool": "search", "arguments": {"pattern": "x"}}]}] * 15 + text(SPEC)])
    reports = await stage.perform(stage.order(Step.SPEC, wall_seconds=0.05, wall_scope=scope))
    assert (reports.end["outcome"], reports.end["data"]["code"]) == ("timeout", f"GW-BUDGET-{scope.upper()}")
    assert f"budget.{scope}_minutes" in reports.explanation()
    assert ("00:00 UTC" in reports.explanation()) == (scope == "day")


async def test_a_task_that_loses_a_cancellation_is_told_again() -> None:
    lost = 0

    async def deaf() -> None:
        nonlocal lost
        while True:
            try:
                await asyncio.sleep(60)
            except asyncio.CancelledError:
                lost += 1
                if lost == 3:
                    raise

    task = asyncio.create_task(deaf())
    await asyncio.sleep(0)
    async with asyncio.timeout(5):
        await stopped(task)
    assert (lost, task.cancelled()) == (3, True)


async def test_a_task_that_has_ended_already_is_no_trouble() -> None:
    async def failed() -> None:
        raise ValueError("it broke")

    task = asyncio.create_task(failed())
    await asyncio.sleep(0)
    await stopped(task)
    assert task.done()
