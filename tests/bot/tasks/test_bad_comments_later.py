"""The same at the plan, the scope findings and the change: each gate takes a yes of its own kind alone."""

from __future__ import annotations

import pytest

from bot.model.state import Gate, State
from tests.bot.tasks.bad_comments import GATE, IGNORED, PASSES, STALE, STATE
from tests.bot.tasks.forge import MIRA, commit
from tests.bot.tasks.office import Office
from tests.bot.tasks.test_bad_comments import filled, outcome_at

PLAN = {
    "/approve": PASSES, "/approve plan": PASSES, "/approve plan <12>": PASSES, "/approve spec": GATE,
    "/approve <spec>": STALE, "/approve scope": GATE, "/fix it": STATE, "> /approve plan": IGNORED,
}  # fmt: skip
SCOPE = {
    "/approve scope": PASSES, "/approve scope <12>": PASSES, "/approve SCOPE": PASSES, "/approve": "GW-APPROVE-SCOPE",
    "/approve <12>": "GW-APPROVE-SCOPE", "/approve change": GATE, "/approve scope <spec>": STALE,
    "/approve scope but not the Makefile": STALE, "/approvescope": IGNORED, "/ci <12>": STATE,
}  # fmt: skip
CHANGE = {
    "/approve": PASSES, "/approve change": PASSES, "/approve <12>": PASSES, "/approve scope": GATE,
    "/approve plan": GATE, "/approve <spec>": STALE, "/approve <11>": STALE, "/ci <12>": "GW-CI-NOT-HELD",
    "/merge": IGNORED, "```\n/approve\n```": IGNORED, "/revise again": STATE, "/edit\n```\nx\n```": STATE,
}  # fmt: skip
ROWS = [(gate, body, then) for gate, rows in ((Gate.PLAN, PLAN), (Gate.SCOPE, SCOPE), (Gate.CHANGE, CHANGE))
        for body, then in rows.items()]  # fmt: skip


async def at_scope_gate(office: Office) -> str:
    task = await office.at_plan_gate()
    await office.says(task, MIRA, "/approve")
    await office.converge(task)
    head = commit("coded")
    made = {"commit": head, "tree": head, "parent": head, "source_sha256": "c" * 64, "step": 1}
    await office.reports(task, "commit.made", made)
    await office.finds(task, head, 2)
    await office.ends(task, commit=head, source_sha256="c" * 64)
    return task


@pytest.mark.parametrize(("gate", "body", "then"), ROWS, ids=lambda part: repr(str(part)[:30]))
async def test_only_its_own_yes_moves_a_gate(office: Office, gate: Gate, body: str, then: str) -> None:
    begin = {Gate.PLAN: office.at_plan_gate, Gate.CHANGE: office.at_change_gate}
    task = await begin[gate]() if gate in begin else await at_scope_gate(office)
    before = await office.desk.shelf.read(task)
    assert before.state.gate is gate
    on_change = gate is Gate.CHANGE
    words = filled(body.replace("<spec>", before.asked(Gate.SPEC).digest), before.asked(gate).digest)
    now = await office.says(task, MIRA, words, before.pull.number if on_change else 42, on_change=on_change)
    assert outcome_at(gate, before, now) == then
    after = await office.converge(task)
    if then != PASSES:
        assert (after.state.gate, after.let_pass(gate)) == (gate, None)
    else:
        assert after.let_pass(gate)


async def test_a_change_is_not_approved_under_the_issue_nor_a_plan_under_the_change(office: Office) -> None:
    task = await office.at_change_gate()
    now = await office.says(task, MIRA, "/approve")
    assert (now.heard[-1].code, now.state) == ("GW-COMMAND-PLACE", State.CHANGE_REVIEW)


async def test_work_that_waits_for_its_scope_is_not_pushed(office: Office) -> None:
    task = await at_scope_gate(office)
    now = await office.converge(task)
    assert (now.state, now.running, "pushed" in await office.kinds(task)) == (State.SCOPE_REVIEW, None, False)
    await office.says(task, MIRA, "/approve scope")
    assert (await office.converge(task)).running.step == "qa"
