"""Tool calls of a runtime as pairs of records: every call is closed once, by its result or by the end of the run."""

from __future__ import annotations

import time
from typing import Any, Final

from runners.providers.protocol import Door, Recorder
from runners.providers.runtime import Called, Returned

ARGUMENTS_MAX: Final = 256 << 10  # bytes of one call's arguments that are kept


class Calls:
    """The tool calls of one run; `output_bytes` of a result are kept."""

    def __init__(self, door: Door, recorder: Recorder, output_bytes: int) -> None:
        self._door = door
        self._recorder = recorder
        self._output = output_bytes
        self._open: dict[str, tuple[int, float]] = {}  # the runtime's id -> call number, start

    @property
    def is_open(self) -> bool:
        """Tell whether a tool runs now."""
        return bool(self._open)

    def call(self, called: Called) -> None:
        """Report a call that begins; one that is open already is the same one."""
        if called.id in self._open:
            return
        number = self._door.number()
        data = {"attempt": self._door.attempt, "call": number, "tool": called.tool[:256] or "?"}
        self._recorder.record("tool.call", data, blobs={"args": called.arguments[:ARGUMENTS_MAX]})
        self._open[called.id] = (number, time.monotonic())

    def result(self, returned: Returned) -> None:
        """Report how a call ended; one that nobody began, or that was closed, says nothing."""
        if returned.id in self._open:
            blobs = {"out": returned.output[: self._output]}
            self._close(returned.id, "ok" if returned.is_ok else "fail", returned.exit, blobs)

    def close(self, outcome: str) -> None:
        """Report of everything still open that it was ended."""
        for each in list(self._open):
            self._close(each, outcome, None, {})

    def _close(self, key: str, outcome: str, code: int | None, blobs: dict[str, bytes]) -> None:
        number, since = self._open.pop(key)
        took = round((time.monotonic() - since) * 1000)
        data: dict[str, Any] = {"attempt": self._door.attempt, "call": number, "exit": code, "dur_ms": took}
        self._recorder.record("tool.result", data, outcome=outcome, blobs=blobs)
