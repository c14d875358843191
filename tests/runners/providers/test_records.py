"""Pairs of tool records, whatever a runtime says."""

from __future__ import annotations

from itertools import count
from typing import Any

import pytest

from runners.providers.records import ARGUMENTS_MAX, Calls
from runners.providers.runtime import Called, Returned
from tests.runners.recorder import ListRecorder


class Door:
    attempt = 3

    def __init__(self) -> None:
        self.number = count(1).__next__


@pytest.fixture
def recorder() -> ListRecorder:
    return ListRecorder()


@pytest.fixture
def calls(recorder: ListRecorder) -> Calls:
    door: Any = Door()
    return Calls(door, recorder, output_bytes=10)


def test_a_call_and_its_result_share_a_number(calls: Calls, recorder: ListRecorder) -> None:
    calls.call(Called("a", "shell", b"{}"))
    assert calls.is_open
    calls.result(Returned("a", is_ok=False, output=b"0123456789-more", exit=2))
    assert not calls.is_open
    [call], [result] = recorder.of("tool.call"), recorder.of("tool.result")
    assert (call.data.attempt, call.data.call, call.data.tool) == (3, 1, "shell")
    assert (result.data.call, result.data.exit, result.outcome, result.blobs) == (1, 2, "fail", {"out": b"0123456789"})


def test_what_is_said_twice_or_out_of_turn_counts_once(calls: Calls, recorder: ListRecorder) -> None:
    calls.result(Returned("a", is_ok=True))
    calls.call(Called("a", "shell", b"{}"))
    calls.call(Called("a", "shell", b"{}"))
    calls.result(Returned("a", is_ok=True))
    calls.result(Returned("a", is_ok=True))
    calls.close("cancelled")
    assert [record.kind for record in recorder.records] == ["tool.call", "tool.result"]


def test_what_is_open_at_the_end_is_closed_with_the_reason(calls: Calls, recorder: ListRecorder) -> None:
    calls.call(Called("a", "", b"x" * (ARGUMENTS_MAX + 9)))
    calls.call(Called("b", "t" * 900, b""))
    calls.close("timeout")
    assert recorder.unpaired() == []
    assert {result.outcome for result in recorder.of("tool.result")} == {"timeout"}
    assert [len(call.data.tool) for call in recorder.of("tool.call")] == [1, 256]
    assert len(recorder.of("tool.call")[0].blobs["args"]) == ARGUMENTS_MAX
