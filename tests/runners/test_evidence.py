from __future__ import annotations

import pytest
from msgspec.structs import replace
from redis.asyncio import Redis

from bot.audit.cost import cost_of
from bot.model.errors import GatewrightError
from bot.model.state import Step
from runners import evidence
from runners.names import Names
from tests.runners.stage import PLAN, SPEC, TASK, Stage


async def read(stage: Stage, **changes: object) -> tuple[bytes, ...]:
    client = Redis.from_url(stage.settings.redis.url)
    try:
        return await evidence.journal(client, Names(TASK, 1), replace(stage.order(Step.CODING), **changes))
    finally:
        await client.aclose()


async def test_the_journal_is_read_as_far_as_the_order_names_it(stage: Stage) -> None:
    order = stage.order(Step.CODING)
    stage.redis.rpush(f"gw:journal:{TASK}", "what came later")
    assert len(await read(stage, journal_size=order.journal_size)) == 1


@pytest.mark.parametrize("changes", [{"journal_head": "0" * 64}, {"journal_size": 2}, {"genesis": "0" * 64}])
async def test_another_journal_than_the_signed_one_is_refused(stage: Stage, changes: dict[str, object]) -> None:
    with pytest.raises(GatewrightError, match="GW-JOURNAL-FOREIGN"):
        await read(stage, **changes)


def test_documents_are_those_that_exist_so_far(stage: Stage) -> None:
    planning, coding = stage.order(Step.PLANNING), stage.order(Step.CODING)
    assert evidence.documents(stage.order(Step.SPEC), stage.blobs, ()) == {}
    assert evidence.documents(planning, stage.blobs, ()) == {"spec.md": SPEC.encode()}
    found = evidence.documents(coding, stage.blobs, ())
    assert sorted(found) == ["plan.json", "plan.md", "spec.md"]
    assert found["plan.md"] == PLAN.encode()
    lines = [bytes(line) for line in stage.redis.lrange(f"gw:journal:{TASK}", 0, -1)]
    assert evidence.documents(stage.order(Step.SPEC), stage.blobs, (), lines) == {"cost.json": cost_of(lines)}
    assert evidence.documents(coding, stage.blobs, (), lines) == found | {"cost.json": cost_of(lines)}
    assert "trace.json" in evidence.documents(replace(coding, head=stage.base), stage.blobs, ())


def test_a_commit_names_task_step_model_and_the_head_that_its_order_rests_on(stage: Stage) -> None:
    order = stage.order(Step.CODING, checkpoint="gw/task/x 7 AAAA")
    named = {"Gatewright-Task": TASK, "Audit-Checkpoint": "gw/task/x 7 AAAA"}
    assert evidence.trailers(order) == named
    assert evidence.trailers(order, "2", "sonnet") == named | {"Gatewright-Step": "2", "Gatewright-Model": "sonnet"}
    assert evidence.trailers(stage.order(Step.CODING), "2") == {"Gatewright-Task": TASK, "Gatewright-Step": "2"}
