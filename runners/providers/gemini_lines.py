"""The lines of Gemini CLI's `stream-json`, and the last answer in its own record, as happenings; pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

import msgspec

from runners.providers.protocol import Cause
from runners.providers.runtime import Called, Ended, Failed, Happening, Returned, Said

SHELL: Final = "run_shell_command"
EXIT: Final = re.compile(r"\n*\[exit code (\d{1,3})\]\s*\Z")  # by gemini_shell.sh
ASIDE: Final = re.compile(r"Background process started|Command moved to background")  # it runs on
ERASED: Final = re.compile(r"[\u200b-\u200f\ufeff]|<!--.*?-->|\s", re.DOTALL)  # what the CLI's record leaves out
SUFFIXES_MAX: Final = 1_000  # ways to cut the words that are tried
CAUSES: Final = (  # what the gateway saw comes before this
    (re.compile(r"Loop detected|empty response|no final response|stream ended|exceeded the token limit"), Cause.ANSWER),
    (re.compile(r"response was blocked"), Cause.REFUSAL),
    (re.compile(r"session turns"), Cause.BUDGET),
)


class _Line(msgspec.Struct, frozen=True):
    """Any line; `content` is text where a model speaks."""

    type: str
    role: str = ""
    content: Any = None
    tool_name: str = ""
    tool_id: str = ""
    parameters: msgspec.Raw = msgspec.Raw(b"{}")
    status: str = ""
    output: str | None = None
    error: dict[str, Any] | None = None
    severity: str = ""
    message: str = ""


class GeminiReader:
    """Reads one run."""

    def __init__(self) -> None:
        self._words: list[str] = []  # of the answer that is being given
        self._commands: set[str] = set()  # calls of the shell

    def line(self, line: bytes) -> Iterable[Happening]:
        """Understand one line; what has no known form says nothing."""
        try:
            read = msgspec.json.decode(line, type=_Line)
        except (msgspec.DecodeError, RecursionError):
            return ()
        return self._happenings(read)

    def end(self, exit_code: int, stderr: str) -> Iterable[Happening]:  # noqa: ARG002 - the protocol's
        """Add nothing: where the CLI fails without a line, its exit code and stderr say so."""
        return ()

    def _happenings(self, read: _Line) -> Iterator[Happening]:
        match read.type:
            case "message" if read.role == "assistant" and isinstance(read.content, str):
                self._words.append(read.content)
                yield Said(read.content, is_more=len(self._words) > 1)
            case "gemini" if self._words and isinstance(read.content, str):
                yield Said(last_try(self._words, read.content))
            case "tool_use":
                yield self._call(read)
            case "tool_result":
                yield self._result(read)
            case "error" | "result":
                yield from _end(read)

    def _call(self, read: _Line) -> Called:
        self._words.clear()
        if read.tool_name == SHELL:
            self._commands.add(read.tool_id)
        return Called(read.tool_id, read.tool_name, bytes(read.parameters))

    def _result(self, read: _Line) -> Returned:
        said = read.output or str((read.error or {}).get("message", ""))
        is_ok, code = read.status == "success", None
        if read.tool_id in self._commands and is_ok:  # the CLI calls a command that failed a success
            found = EXIT.search(said)
            code = int(found[1]) if found else None
            is_ok = code == 0 if found else bool(ASIDE.match(said))
            said = said[: found.start()] if found else said
        return Returned(read.tool_id, is_ok, said.encode(errors="replace"), code)


def _end(read: _Line) -> tuple[Happening, ...]:
    if read.type == "result" and read.status == "success":
        return (Ended(),)
    said = read.message or str((read.error or {}).get("message", "it gave no reason"))
    found = next((cause for pattern, cause in CAUSES if pattern.search(said)), None)
    if found is None and read.type == "error" and read.severity != "error":
        return ()  # a warning; the run goes on
    return (Failed(said, found or Cause.CRASH),)


def last_try(words: Sequence[str], recorded: str) -> str:
    """Give the part of the words that the CLI recorded as one answer: the shortest end that says the same."""
    whole = "".join(words)
    wanted = ERASED.sub("", recorded)
    if wanted in ("", ERASED.sub("", whole)):
        return whole
    end = ""
    for word in reversed(words[-SUFFIXES_MAX:]):
        end = word + end
        if len(end) >= len(wanted) and ERASED.sub("", end) == wanted:
            return end
    return recorded
