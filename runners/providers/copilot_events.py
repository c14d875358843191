"""The lines that the Copilot CLI writes with `--output-format json`: its events as tool calls, words and ends; pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Final

import msgspec

from runners.providers.protocol import Cause
from runners.providers.runtime import Called, Ended, Failed, Happening, Returned, Said

TELLING: Final = {"assistant.message", "tool.execution_start", "tool.execution_complete", "session.error"}
KINDS: Final = {  # its errorType
    "authentication": Cause.AUTH, "authorization": Cause.AUTH, "policy": Cause.REFUSAL, "quota": Cause.QUOTA,
    "rate_limit": Cause.RATE, "context_limit": Cause.CONTEXT,
}  # fmt: skip
PROSE: Final = (  # of its errorType `query`; what the gateway saw comes before this
    (re.compile(r"prompt budget|prompt as too long|context length", re.IGNORECASE), Cause.CONTEXT),
    (re.compile(r"exceeded your current quota|insufficient_quota", re.IGNORECASE), Cause.QUOTA),
)


class _Line(msgspec.Struct, frozen=True, rename="camel"):
    type: str
    data: msgspec.Raw = msgspec.Raw(b"{}")
    exit_code: int | None = None  # of the line `result` alone


class _Data(msgspec.Struct, frozen=True, rename="camel"):
    content: str = ""
    tool_call_id: str = ""
    tool_name: str = ""
    arguments: msgspec.Raw = msgspec.Raw(b"null")
    success: bool = False
    shell_execution: _Shell | None = None
    result: _Told | None = None
    error: _Told | None = None
    error_type: str = ""
    status_code: int = 0
    message: str = ""


class _Shell(msgspec.Struct, frozen=True, rename="camel"):
    exit_code: int | None = None


class _Told(msgspec.Struct, frozen=True):
    content: str = ""
    message: str = ""


class CopilotReader:
    """Reads one run: it is done when the last line says so and no error came before."""

    def __init__(self) -> None:
        self._is_over = False
        self._has_failed = False

    def line(self, line: bytes) -> Iterable[Happening]:
        """Understand one line; what is no event of a known form says nothing, as most do: a command's output is one."""
        try:
            event = msgspec.json.decode(line, type=_Line)
            if event.type == "result":
                return self._result(event.exit_code)
            if event.type in TELLING:
                return self._event(event.type, msgspec.json.decode(event.data, type=_Data))
        except (ValueError, RecursionError):  # not JSON, not UTF-8, or of another form than we know
            pass
        return ()

    def end(self, exit_code: int, stderr: str) -> Iterable[Happening]:  # noqa: ARG002 - the protocol's
        """Judge what has said nothing of its end: it did not get as far as a session, or was ended (with code 0)."""
        if not self._is_over and not self._has_failed and "ENOSPC" in stderr:
            yield Failed("there is no room in the jail's home for the package that it unpacks")

    def _event(self, kind: str, data: _Data) -> Iterator[Happening]:
        if kind == "assistant.message" and data.content:
            yield Said(data.content)
        elif kind == "tool.execution_start":
            yield Called(data.tool_call_id, data.tool_name, bytes(data.arguments))
        elif kind == "tool.execution_complete":
            yield _returned(data)
        elif kind == "session.error":
            self._has_failed = True
            said = data.message.partition("\n")[0]  # further lines say what to do in another place
            yield Failed(said or "it gave no reason", cause(data.error_type, data.status_code, data.message))

    def _result(self, exit_code: int | None) -> Iterator[Happening]:
        self._is_over = True
        if exit_code == 0 and not self._has_failed:
            yield Ended()
        elif not self._has_failed:
            yield Failed(f"it ended with exit code {exit_code}")


def cause(kind: str, status: int, said: str) -> Cause:
    """Judge what a session.error says."""
    if found := next((cause for pattern, cause in PROSE if pattern.search(said)), None):
        return found
    if status == 404:
        return Cause.MODEL
    return KINDS.get(kind, Cause.CRASH)


def _returned(data: _Data) -> Returned:
    """Read a result; a command still running after its wait has an output so far, and no exit code."""
    code = data.shell_execution.exit_code if data.shell_execution else None
    output = (data.result and data.result.content) or (data.error and data.error.message) or ""
    return Returned(data.tool_call_id, data.success and not code, output.encode(errors="replace"), code)
