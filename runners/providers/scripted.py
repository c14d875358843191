"""Recorded answers, played through the true loop: for the demo, the tests and the documentation.

A recording is a JSON file, `{"format": "gatewright-recording/1", "phases": {"spec": [[turn, ...], ...], ...}}`: for
each phase a list of runs, for each run its turns, `{"text": "...", "calls": [{"tool": "read", "arguments": {...}}]}`.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any, Literal

import msgspec

from bot.model.errors import UsageError
from bot.model.state import Phase
from runners.loop.protocol import Call, Message, Tool, Turn
from runners.providers.errors import ProviderError
from runners.providers.protocol import Cause, Door, Recorder, Request


class RecordedCall(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A tool call of a recording."""

    tool: str
    arguments: dict[str, Any] = {}


class RecordedTurn(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One answer of a recording."""

    text: str = ""
    calls: tuple[RecordedCall, ...] = ()


class Recording(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Answers for each phase and each of its runs."""

    format: Literal["gatewright-recording/1"]
    phases: dict[Phase, tuple[tuple[RecordedTurn, ...], ...]]


def load(path: Path) -> Recording:
    """Read a recording strictly; raises UsageError with the place where it does not fit."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=Recording)
    except OSError as error:
        raise UsageError(
            "GW-RECORDING-FILE", f"the recording {path} cannot be read", why=str(error.strerror),
            fix="Check `providers.scripted.base_url`, the folder of recordings.",
        ) from error  # fmt: skip
    except msgspec.MsgspecError as error:
        raise UsageError(
            "GW-RECORDING-FORMAT", f"the recording {path} is not as it should be", why=str(error),
            fix="Its format is described at the head of runners/providers/scripted.py.",
        ) from error  # fmt: skip


def connector(recording: Recording) -> Callable[[Request, Door, Recorder], AbstractAsyncContextManager[ScriptedModel]]:
    """Make what opens a recording as the model of one run."""

    @asynccontextmanager
    async def connect(request: Request, door: Door, recorder: Recorder) -> AsyncIterator[ScriptedModel]:
        yield ScriptedModel(script(recording, request), request, door, recorder)

    return connect


def script(recording: Recording, request: Request) -> tuple[RecordedTurn, ...]:
    """Choose the answers of one run by its phase and index."""
    runs = recording.phases.get(request.phase, ())
    if request.run_index >= len(runs):
        raise _missing(
            f"{len(runs)} run(s) of the phase {request.phase}, and number {request.run_index + 1} was asked for"
        )
    return runs[request.run_index]


class ScriptedModel:
    """Plays one run; reports its own calls, since no gateway sees them."""

    def __init__(self, turns: Sequence[RecordedTurn], request: Request, door: Door, recorder: Recorder) -> None:
        self._turns = turns
        self._request = request
        self._door = door
        self._recorder = recorder
        self._played = 0
        self._heard = 0

    async def complete(
        self,
        messages: Sequence[Message],
        tools: Sequence[Tool],  # noqa: ARG002 - a recording calls what it calls; the loop refuses what is not offered
        alive: Callable[[], None],
    ) -> Turn:
        """Play the next answer; raises ProviderError ANSWER where there is none."""
        data = {"attempt": self._door.attempt, "call": self._door.number()}
        asked = {**data, "provider": "scripted", "model": self._request.model}
        news = msgspec.json.encode(messages[self._heard :])  # the rest stands in the calls before
        self._recorder.record("model.call", asked, blobs={"prompt": news})
        self._heard = len(messages)
        started = time.monotonic()
        outcome, stop, output = "fail", "", b""
        try:
            turn = self._next()
            outcome, output = "ok", msgspec.json.encode(turn)
            stop = "tool_calls" if turn.calls else "stop"
        finally:
            spent = int((time.monotonic() - started) * 1000)
            blobs = {"output": output} if output else None
            self._recorder.record("model.result", {**data, "stop": stop, "dur_ms": spent}, outcome=outcome, blobs=blobs)
        alive()
        return turn

    def _next(self) -> Turn:
        if self._played >= len(self._turns):
            where = f"the phase {self._request.phase}, run {self._request.run_index + 1}"
            raise _missing(f"{len(self._turns)} turn(s) for {where}, and one more was asked for")
        turn = self._turns[self._played]
        self._played += 1
        calls = tuple(
            Call(f"recorded_{self._played}_{place}", call.tool, msgspec.json.encode(call.arguments).decode())
            for place, call in enumerate(turn.calls)
        )
        return Turn(turn.text, calls, model=self._request.model)


def _missing(what: str) -> ProviderError:
    return ProviderError(
        Cause.ANSWER, "the recording does not fit what happened", why=f"it holds {what}",
        fix="Recorded answers fit one course of events; choose a real model for another.",
    )  # fmt: skip
