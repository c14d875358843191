"""From whatever happens in whatever order, no code and no green gate without the approvals that policy asks for.

`tests.independent.oracle` judges the journal; it shares nothing with the code that wrote it.
"""

from __future__ import annotations

import asyncio
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bot.forges.protocol import StatusState
from bot.model.policy import BreakGlass, GateRule, Policy
from bot.settings import Settings
from tests.bot.tasks.interleaving import MOVES, STRAIGHT, Life, Move
from tests.bot.tasks.office import Office
from tests.independent import let_pass, oracle

POLICIES = (
    Policy(),
    Policy(
        base="equal", plan=GateRule(not_by=("spec",)), change=GateRule(not_by=("committer", "spec", "plan", "writer"))
    ),
    Policy(spec=GateRule(quorum=2), merge="on_approval", emergency=BreakGlass(people=("user:11", "user:12"))),
    Policy(digest="required", ci="hold", native_approval="proven", change=GateRule(quorum=2, not_by=("writer",))),
)
Steps = Sequence[tuple[Move, int]]
moves = st.lists(st.tuples(st.sampled_from(MOVES), st.integers(0, 2_000)), min_size=8, max_size=40)


async def lived(url: str, policy: Policy, steps: Steps) -> tuple[list[dict[str, Any]], Life]:
    """Play one life to its end; its journal."""
    with tempfile.TemporaryDirectory() as data:
        office = Office(url, Path(data), Settings(policy=policy))
        await office.redis.flushall()
        life = Life(office)
        life.id = await office.opened()
        for move, dice in steps:
            await move(life, dice)
        life.forge.failing.clear()
        office.ahead_ms += 600_000
        await office.redis.delete(f"gw:looked:{life.id}", f"gw:ruled:{life.id}")
        await life.settle()
        lines = await office.desk.shelf.journals.lines(life.id)
        await office.close()
        return [json.loads(line) for line in lines], life


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(policy=st.sampled_from(POLICIES), begun=st.integers(0, len(STRAIGHT)), steps=moves)
def test_no_life_of_a_task_gets_past_its_policy(redis_url: str, policy: Policy, begun: int, steps: Steps) -> None:
    journal, life = asyncio.run(lived(redis_url, policy, [*STRAIGHT[:begun], *steps]))
    assert not oracle(journal)
    shown = dict(life.forge.statuses)
    task_head = next(reversed(shown), "")
    if shown.get(task_head) is StatusState.SUCCESS:
        assert "change" in let_pass(journal) or life.forge.merged
    assert len(journal) < 25 * (len(steps) + begun + 5), "no loop fills the journal"


@pytest.mark.parametrize("policy", POLICIES[:2])
def test_a_straight_life_ends_green(redis_url: str, policy: Policy) -> None:
    """Else the property would hold of nothing."""
    journal, life = asyncio.run(lived(redis_url, policy, STRAIGHT))
    assert [record["data"]["step"] for record in journal if record["kind"] == "attempt.started"][:5] == [
        "spec", "planning", "coding", "qa", "publish",
    ]  # fmt: skip
    assert life.forge.statuses[-1][1] is StatusState.SUCCESS
    assert let_pass(journal) >= {"change"}


def test_the_oracle_sees_what_the_property_is_about(redis_url: str) -> None:
    journal, _ = asyncio.run(lived(redis_url, POLICIES[0], STRAIGHT))
    assert not oracle(journal)
    without = [record for record in journal if not (record["kind"] == "approval" and record["data"]["what"] == "plan")]
    assert any("coding" in violation or "plan" in violation for violation in oracle(without))
