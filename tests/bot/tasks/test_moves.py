from __future__ import annotations

import pytest

from bot.model.errors import Refused
from bot.model.event import AccountKind
from bot.model.state import Gate, State
from bot.tasks.machine import Signal
from bot.tasks.moves import actor_of, block, move, ref, without
from tests.bot.tasks.history import History


def test_a_task_moves_only_as_the_machine_knows():
    task = History().task
    assert move(task, Signal.STARTED, rounds=3).state is State.SPEC
    assert move(task, Signal.STARTED, rounds=3).rounds == 3
    with pytest.raises(Refused):
        move(task, Signal.MERGED)


def test_a_blocked_task_knows_where_it_stood_however_often_it_is_blocked():
    task = block(block(History().at_spec_review().task, "GW-ONE"), "GW-TWO", "e" * 64)
    assert (task.blocked_from, task.blocked_code, task.blocked_blob) == (State.SPEC_REVIEW, "GW-TWO", "e" * 64)
    assert task.blocks == 2


def test_only_the_named_gates_lose_their_approval():
    task = History().at_qa().task
    assert [a.gate for a in without(task, Gate.SPEC).approvals] == [Gate.PLAN]


def test_a_record_names_its_actor_by_number_and_its_blobs_by_name():
    history = History().at_spec_review().say("status", answer="f" * 64)
    record = history.records[-1]
    assert (actor_of(record).id, actor_of(record).kind, actor_of(record).login) == (7, AccountKind.HUMAN, "")
    assert (ref(record, "answer"), ref(record, "argument")) == ("f" * 64, "")
    assert actor_of(history.records[0]).id == 0
    assert actor_of(history.records[0]).kind is AccountKind.BOT
