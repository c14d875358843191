"""Calls: reported before and after, side by side where they only read, in order where they write."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from bot.audit.kinds import ToolCall
from runners.loop.calls import MAX_CALLS
from runners.loop.errors import ToolFault
from runners.loop.protocol import Call, Reply, Turn
from runners.loop.tools import TOOLS, Kind, List, Output, Write
from tests.runners.loop.parts import Kept, call, make, play

DONE = Turn("done")


def kind(name, carry_out, *, reads):
    """A tool of the test's own, under one of the real names so that it has words."""
    return Kind(name, List, carry_out, reads)


def appears(path: Path) -> None:
    while not path.exists():
        time.sleep(0.01)


async def test_each_call_is_on_record_before_it_is_carried_out_and_its_result_after(tmp_path):
    recorder = Kept()
    seen: list[list[str]] = []

    async def spy(_arguments, _bench):
        seen.append([record.kind for record in recorder.records])
        return Output("found", exit=5)

    await play([call("list", path="x"), DONE], tmp_path, recorder, (kind("list", spy, reads=True),))
    assert seen == [["tool.call"]]
    assert recorder.of("tool.call")[0].data == ToolCall(attempt=7, call=1, tool="list", decision="allow")
    result = recorder.of("tool.result")[0].data
    assert (result.attempt, result.call, result.exit) == (7, 1, 5)
    assert recorder.blob("tool.call", "args") == ['{"path":"x"}']
    assert recorder.blob("tool.result", "out") == ["found"]


async def test_calls_that_only_read_run_side_by_side(tmp_path):
    """Each waits for the other: one after the other they would never end."""
    barrier = asyncio.Barrier(2)

    async def meet(_arguments, _bench):
        await asyncio.wait_for(barrier.wait(), 5)
        return Output("met")

    two = Turn(calls=(make("list", 1), make("list", 2)))
    _, model = await play([two, DONE], tmp_path, kinds=(kind("list", meet, reads=True),))
    assert [said.text for said in model.heard[-1] if isinstance(said, Reply)] == ["met", "met"]


async def test_calls_that_write_run_one_after_the_other_and_split_those_that_read(tmp_path):
    log: list[str] = []

    def logged(name):
        async def carry_out(arguments, _bench):
            log.append(f"{name}{arguments.path} begins")
            await asyncio.sleep(0.01)
            log.append(f"{name}{arguments.path} ends")
            return Output("ok")

        return carry_out

    kinds = (kind("list", logged("r"), reads=True), Kind("write", Write, logged("w")))
    order = [("write", 1), ("write", 2), ("list", 3), ("list", 4), ("write", 5)]
    calls = tuple(make(name, n, path=str(n), **({"content": ""} if name == "write" else {})) for name, n in order)
    await play([Turn(calls=calls), DONE], tmp_path, kinds=kinds)
    assert log[:4] == ["w1 begins", "w1 ends", "w2 begins", "w2 ends"]
    assert log[4:8] == ["r3 begins", "r4 begins", "r3 ends", "r4 ends"]
    assert log[8:] == ["w5 begins", "w5 ends"]


async def test_a_fault_of_a_tool_is_a_reply_and_a_failed_result(tmp_path):
    async def fault(_arguments, _bench):
        raise ToolFault("not today")

    recorder = Kept()
    _, model = await play([call("list"), DONE], tmp_path, recorder, (kind("list", fault, reads=True),))
    assert model.last == "not today"
    assert recorder.outcomes("tool.result") == ["fail"]


@pytest.mark.parametrize("count", [1, 2])
async def test_a_crash_of_a_tool_ends_the_run_with_every_result_on_record(tmp_path, count):
    async def crash(_arguments, _bench):
        raise ZeroDivisionError

    recorder = Kept()
    turn = Turn(calls=tuple(make("list", n) for n in range(count)))
    with pytest.raises(ZeroDivisionError):
        await play([turn], tmp_path, recorder, (kind("list", crash, reads=True),))
    assert recorder.outcomes("tool.result") == ["cancelled"] * count


async def test_cancelling_the_run_cancels_the_command_and_records_it(tmp_path):
    recorder = Kept()
    run = asyncio.create_task(play([call("run", command="touch begun; sleep 60; touch ended")], tmp_path, recorder))
    await asyncio.to_thread(appears, tmp_path / "begun")
    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run
    assert recorder.outcomes("tool.result") == ["cancelled"]
    assert [path.name for path in tmp_path.iterdir()] == ["begun"]


async def test_a_recorder_that_cannot_record_stops_the_call_before_it_is_carried_out(tmp_path):
    class Full(Kept):
        def record(self, kind, data, *, outcome="ok", blobs=None):
            raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        await play([call("write", path="f", content="x")], tmp_path, Full())
    assert not list(tmp_path.iterdir())


async def test_more_calls_than_a_turn_may_hold_are_answered_and_not_carried_out(tmp_path):
    recorder = Kept()
    calls = tuple(make("list", n, glob=str(n)) for n in range(MAX_CALLS + 2))
    _, model = await play([Turn(calls=calls), DONE], tmp_path, recorder)
    replies = [said.text for said in model.heard[-1] if isinstance(said, Reply)]
    assert len(replies) == MAX_CALLS + 2
    assert replies[-1] == f"Not carried out: more than {MAX_CALLS} calls in one turn. Send fewer at a time."
    assert len(recorder.of("tool.call")) == MAX_CALLS


async def test_a_name_the_model_made_up_is_cut_down_for_the_record(tmp_path):
    recorder = Kept()
    await play([Turn(calls=(Call("c", "x\n" * 500, "{}"),)), DONE], tmp_path, recorder)
    assert recorder.of("tool.call")[0].data.tool == "x" * 32


async def test_text_that_is_no_unicode_is_recorded_all_the_same(tmp_path):
    recorder = Kept()
    turn = Turn(calls=(Call("c", "read", '{"path": "\ud800"}'),))
    _, model = await play([turn, DONE], tmp_path, recorder)
    assert recorder.blob("tool.call", "args") == ['{"path": "?"}']
    assert model.last == "?: no such file or folder."


def test_the_real_tools_say_which_of_them_only_read():
    assert {kind.name for kind in TOOLS if kind.reads} == {"read", "search", "list"}
