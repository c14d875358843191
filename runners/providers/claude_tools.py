"""What the Claude runtime does with its tools, as records; every call is reported before it runs."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

import msgspec

from runners.providers.protocol import Access, Door, Recorder

if TYPE_CHECKING:
    from claude_agent_sdk import Message

TOOLS: Final = {
    Access.READ: ("Read", "Glob", "Grep"),
    Access.WRITE: ("Read", "Glob", "Grep", "Edit", "Write", "Bash"),
}
ANSWER_TOOL: Final = "StructuredOutput"  # how the runtime takes an answer by schema
ARGUMENTS_MAX: Final = 256 << 10  # bytes of one call's arguments that are kept
EXIT_CODE: Final = re.compile(r"^(?:Error: )?Exit code (\d{1,3})\b")


class Tools:
    """Watches one run's tool calls; `fault` holds the first thing that could not be recorded.

    `on_sign` is told whether a tool is running, at every sign of life.
    """

    def __init__(
        self, access: Access, door: Door, recorder: Recorder, output_bytes: int, on_sign: Callable[[bool], None]
    ) -> None:
        self.names = TOOLS[access]
        self.fault: Exception | None = None
        self._door = door
        self._recorder = recorder
        self._output = output_bytes
        self._on_sign = on_sign
        self._open: dict[str, tuple[int, float]] = {}  # tool use id -> call number, start

    async def before(self, given: Any, use_id: str | None, _context: Any) -> dict[str, Any]:
        """Report a call that is about to run; deny what is not on the list or cannot be recorded."""
        name = str(given.get("tool_name", ""))
        allowed = name in self.names or name == ANSWER_TOOL
        try:
            self._call(use_id or "", name, given.get("tool_input"), allowed=allowed)
        except Exception as problem:  # noqa: BLE001 - the runtime takes a hook that raises for consent
            self.fault = self.fault or problem
            return _decision("deny", "the call could not be recorded")
        return _decision("allow", "") if allowed else _decision("deny", f"the tool {name} is not part of this run")

    async def after(self, given: Any, use_id: str | None, _context: Any) -> dict[str, Any]:
        """Report how a call ended."""
        failed = given.get("hook_event_name") == "PostToolUseFailure"
        said = given.get("error") if failed else given.get("tool_response")
        found = EXIT_CODE.match(said) if isinstance(said, str) else None
        status = int(found[1]) if found else 0 if given.get("tool_name") == "Bash" and not failed else None
        try:
            self._result(use_id or "", "fail" if failed else "ok", said, status)
        except Exception as problem:  # noqa: BLE001 - as above
            self.fault = self.fault or problem
            return {"continue_": False, "stopReason": "the call could not be recorded"}
        return {}

    def saw(self, message: Message) -> None:
        """Close a call that no hook saw ending: the runtime refused its arguments or stopped it."""
        from claude_agent_sdk import ToolResultBlock, UserMessage  # noqa: PLC0415

        self._on_sign(bool(self._open))
        if isinstance(message, UserMessage) and not isinstance(message.content, str):
            for block in message.content:
                if isinstance(block, ToolResultBlock):
                    self._result(block.tool_use_id, "fail" if block.is_error else "ok", block.content, None)

    def close(self) -> None:
        """Report that what still runs was stopped."""
        for use_id in list(self._open):
            self._result(use_id, "cancelled", None, None)

    def _call(self, use_id: str, name: str, arguments: Any, *, allowed: bool) -> None:
        number = self._door.number()
        decision = "allow" if allowed else "deny"
        data = {"attempt": self._door.attempt, "call": number, "tool": name[:256] or "?", "decision": decision}
        blobs = {"args": msgspec.json.encode(arguments)[:ARGUMENTS_MAX]}
        self._recorder.record("tool.call", data, outcome="ok" if allowed else "denied", blobs=blobs)
        self._open[use_id] = (number, time.monotonic())
        if not allowed:
            self._result(use_id, "denied", None, None)
        self._on_sign(bool(self._open))

    def _result(self, use_id: str, outcome: str, said: Any, status: int | None) -> None:
        number, since = self._open.pop(use_id, (0, 0.0))
        if not number:
            return
        data: dict[str, Any] = {"attempt": self._door.attempt, "call": number}
        data |= {"exit": status, "dur_ms": round((time.monotonic() - since) * 1000)}
        text = said.encode(errors="replace") if isinstance(said, str) else msgspec.json.encode(said)
        self._recorder.record(
            "tool.result", data, outcome=outcome, blobs={} if said is None else {"out": text[: self._output]}
        )
        self._on_sign(bool(self._open))


def _decision(word: str, reason: str) -> dict[str, Any]:
    said = {"hookEventName": "PreToolUse", "permissionDecision": word, "permissionDecisionReason": reason}
    return {"hookSpecificOutput": said}
