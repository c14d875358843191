"""What the lines of OpenCode mean, and those of our plugin in it (opencode.js); pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any, Final

from runners.providers.protocol import Cause
from runners.providers.runtime import Called, Ended, Failed, Happening, Returned, Said

_CAUSES: Final = {
    "ContextOverflowError": Cause.CONTEXT,
    "ContentFilterError": Cause.REFUSAL,
    "MessageOutputLengthError": Cause.ANSWER,
}
_REASONS: Final = {"length": Cause.ANSWER, "content-filter": Cause.REFUSAL}


class Lines:
    """Reads one run; there is no last event, so what counts is how the last step ended."""

    def __init__(self) -> None:
        self._is_watched = False
        self._reason = ""
        self._open: set[str] = set()
        self._told: set[str] = set()  # parts of messages; OpenCode tells some of them twice

    def line(self, line: bytes) -> Iterator[Happening]:
        """Understand one line."""
        event = _parsed(line)
        part = _object(event.get("part"))
        match event.get("type"):
            case "gatewright":
                yield from self._begun(part)
            case "tool_use":
                yield from self._used(part)
            case "text":
                yield Said(str(part.get("text", "")))
            case "step_start":
                self._reason = ""
            case "step_finish":
                self._reason = str(part.get("reason", ""))
            case "error":
                yield _failed(_object(event.get("error")))

    def end(self, exit_code: int, stderr: str) -> Iterable[Happening]:  # noqa: ARG002 - its last step says all
        """Judge the last step; a run without our plugin in it is no success."""
        if not self._is_watched:
            return [Failed("it did not load our plugin, which leads it to the worktree")]
        if self._reason == "stop":
            return [Ended()]
        why = f"its last step ended with `{self._reason}`" if self._reason else "its last step did not end"
        return [Failed(why, _REASONS.get(self._reason, Cause.CRASH))]

    def _begun(self, part: dict[str, Any]) -> Iterator[Happening]:
        self._is_watched = True
        if part.get("callID"):
            called = _called(part, part.get("input"))
            self._open.add(called.id)
            yield called

    def _used(self, part: dict[str, Any]) -> Iterator[Happening]:
        own, state = str(part.get("id", "")), _object(part.get("state"))
        if own in self._told:
            return
        self._told.add(own)
        called = _called(part, state.get("input"))
        if called.id not in self._open:  # what OpenCode refuses itself, no tool begins
            yield called
        self._open.discard(called.id)
        code = _object(state.get("metadata")).get("exit")
        code = code if isinstance(code, int) else None
        is_ok = state.get("status") == "completed" and part.get("tool") != "invalid" and not code
        output = str(state.get("output") or state.get("error") or "")
        yield Returned(called.id, is_ok, output.encode(errors="replace"), code)


def _called(part: dict[str, Any], given: Any) -> Called:
    name = str(part.get("tool", ""))
    if name == "invalid":  # stands for a tool that there is not, or for arguments that do not fit
        name = str(_object(given).get("tool", name))
    arguments = json.dumps(given, ensure_ascii=False).encode(errors="replace")
    return Called(str(part.get("callID", "")), name, arguments)


def _failed(error: dict[str, Any]) -> Failed:
    name, data = str(error.get("name", "")), _object(error.get("data"))
    return Failed(f"{name}: {data.get('message', '')}".strip(": "), _CAUSES.get(name, Cause.CRASH))


def _parsed(line: bytes) -> dict[str, Any]:
    try:
        return _object(json.loads(line))
    except (ValueError, RecursionError):  # no event: something that a plugin or a library wrote
        return {}


def _object(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
