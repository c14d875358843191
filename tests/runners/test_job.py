from __future__ import annotations

import pytest
from structlog.testing import capture_logs

from bot.audit.keys import InstanceKey
from bot.audit.order import sign_order
from bot.model.order import Order
from bot.model.policy import Policy
from bot.model.state import Step
from runners.job import carry_out
from runners.names import Names
from tests.runners.stage import SPEC, TASK, Stage, text


async def refused(stage: Stage, names: Names) -> str:
    with capture_logs() as logs:
        await carry_out(stage.site, names)
    assert stage.reports(names).entries == []
    assert not stage.redis.exists(names.claim)
    return next(str(log.get("code", log["event"])) for log in logs)


async def test_an_attempt_without_an_order_is_left_alone(stage: Stage) -> None:
    assert await refused(stage, Names(TASK, 9)) == "GW-ORDER-MISSING"


async def test_an_order_signed_by_another_key_is_refused(stage: Stage) -> None:
    order = stage.order(Step.SPEC)
    names = stage.give(order)
    stage.redis.set(names.order, sign_order(order, InstanceKey.generate()))
    assert await refused(stage, names) == "GW-ORDER-SIGNATURE"


@pytest.mark.parametrize("changes", [{"task": "43-k7f3qd"}, {"attempt": 2}, {"instance": "other"}])
async def test_a_true_order_for_something_else_is_refused(stage: Stage, changes: dict[str, object]) -> None:
    from msgspec.structs import replace

    order = stage.order(Step.SPEC)
    names = stage.give(order)
    other: Order = replace(order, **changes)
    stage.redis.set(names.order, sign_order(other, stage.key))
    assert await refused(stage, names) == "GW-ORDER-FOREIGN"


async def test_an_attempt_that_is_not_the_current_one_stops_quietly(stage: Stage) -> None:
    names = stage.give(stage.order(Step.SPEC))
    stage.redis.set(names.current, "2")
    assert await refused(stage, names) == "attempt.superseded"


async def test_a_worker_with_other_rules_does_nothing_and_says_why(stage: Stage) -> None:
    stage.record(spec=[text(SPEC)])
    reports = await stage.perform(stage.order(Step.SPEC, server_policy_sha256=Policy(digest="required").sha256()))
    assert reports.kinds() == ["attempt.ended"]
    assert (reports.end["outcome"], reports.end["data"]["code"]) == ("fail", "GW-POLICY-DIFFERS")
    assert "fix: give both the same gatewright.toml" in reports.explanation()
    assert not (stage.folder / "work").exists()


async def test_a_second_run_of_the_same_attempt_stops_quietly(stage: Stage) -> None:
    stage.record(spec=[text(SPEC)])
    names = stage.give(stage.order(Step.SPEC))
    await carry_out(stage.site, names)
    before = stage.reports(names).ids
    with capture_logs() as logs:
        await carry_out(stage.site, names)
    assert stage.reports(names).ids == before
    assert logs[-1]["event"] == "attempt.repeated"
