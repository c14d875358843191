from __future__ import annotations

import re
from pathlib import Path

import pytest

from bot.model.errors import Refused
from bot.model.state import State
from bot.tasks.machine import TABLE, Signal, advance

ROOT = Path(__file__).resolve().parents[3]


def test_every_signal_is_used_and_every_state_can_be_reached():
    assert {signal for _, signal in TABLE} == set(Signal)
    assert set(TABLE.values()) | {State.RECEIVED} == set(State)


def test_nothing_leads_out_of_an_end():
    assert not [state for state, _ in TABLE if state.is_final]


def test_coding_cannot_begin_without_both_approvals():
    into_coding = {(state, signal) for (state, signal), target in TABLE.items() if target is State.CODING}
    assert into_coding == {(State.PLAN_REVIEW, Signal.APPROVED)}
    into_plan = {state for (state, signal), target in TABLE.items() if target is State.PLAN}
    assert into_plan <= {State.SPEC_REVIEW, State.PLAN_REVIEW, State.SCOPE_REVIEW, State.BLOCKED}


def test_a_change_is_offered_only_after_qa():
    into_publishing = {state for (state, _), target in TABLE.items() if target is State.PUBLISHING}
    assert into_publishing == {State.QA, State.FIXING}
    assert TABLE[State.FIXING, Signal.EXHAUSTED] is State.PUBLISHING


def test_what_the_table_does_not_hold_is_refused_with_what_to_do():
    with pytest.raises(Refused) as refused:
        advance(State.CODING, Signal.APPROVED)
    assert refused.value.code == "GW-STATE"
    assert "status" in refused.value.fix


def test_the_drawing_in_the_docs_is_the_table():
    drawing = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    drawn = set(re.findall(r"^(\w+) --(\w+)--> (\w+)$", drawing, re.MULTILINE))
    always = {Signal.BLOCKED, Signal.CANCELLED}  # drawn as one sentence, not as 22 arrows
    held = {(s.value, g.value, t.value) for (s, g), t in TABLE.items() if g not in always}
    assert drawn == held
