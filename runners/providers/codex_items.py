"""The lines of `codex exec --json`: its items as tool calls and words."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any, Final

import msgspec

from runners.loop.beneath import Beneath
from runners.loop.errors import ToolFault
from runners.providers.protocol import Cause, Jail
from runners.providers.runtime import Called, Ended, Failed, Happening, Returned, Said

WORDS: Final = {"agent_message", "reasoning", "error", "todo_list"}  # items that are no tool's; errors are no ends
ENDS: Final = ("id", "type", "status", "aggregated_output", "exit_code", "result", "error")  # of an item, not its start
CONTENT_MAX: Final = 200_000  # bytes of new contents in one record
CAUSES: Final = (  # Codex says in prose what happened; what the gateway saw comes before this
    (re.compile(r"model's context window", re.IGNORECASE), Cause.CONTEXT),
    (re.compile(r"quota exceeded|usage limit", re.IGNORECASE), Cause.QUOTA),
    (re.compile(r"status:? 429|rate limit", re.IGNORECASE), Cause.RATE),
    (re.compile(r"status:? 40[13]\b"), Cause.AUTH),
    (re.compile(r"status:? 404\b"), Cause.MODEL),
    (re.compile(r"content_filter", re.IGNORECASE), Cause.REFUSAL),
)


class _Event(msgspec.Struct, frozen=True):
    type: str
    item: dict[str, Any] = {}
    error: dict[str, Any] | None = None


class CodexReader:
    """Reads one run; looks into the worktree for what a patch has written there."""

    def __init__(self, jail: Jail) -> None:
        self._jail = jail

    def line(self, line: bytes) -> Iterable[Happening]:
        """Understand one line; what is no event of a known form says nothing."""
        try:
            event = msgspec.json.decode(line, type=_Event)
        except (msgspec.DecodeError, RecursionError):
            return ()
        if event.type == "turn.completed":
            return (Ended(),)
        if event.type == "turn.failed":
            said = str((event.error or {}).get("message", "it gave no reason"))
            return (Failed(said, cause(said)),)
        if event.type in ("item.started", "item.completed"):
            return self._item(event.item, is_end=event.type == "item.completed")
        return ()

    def end(self, exit_code: int, stderr: str) -> Iterable[Happening]:  # noqa: ARG002 - the protocol's
        """Add nothing: Codex says on its last line how a turn ended."""
        return ()

    def _item(self, item: dict[str, Any], *, is_end: bool) -> Iterator[Happening]:
        key, kind = str(item.get("id", "")), str(item.get("type", ""))
        if kind == "agent_message" and is_end:
            yield Said(str(item.get("text", "")))
        if kind in WORDS:
            return
        if kind == "file_change":
            if is_end:  # a patch is applied at once, and only then its contents can be read
                yield Called(key, kind, msgspec.json.encode({"changes": self._changes(item)}))
        else:
            told = {name: value for name, value in item.items() if name not in ENDS}
            yield Called(key, kind, msgspec.json.encode(told))
        if is_end:
            yield _returned(key, item)

    def _changes(self, item: dict[str, Any]) -> list[dict[str, Any]]:
        given = item.get("changes")
        changes = [change for change in given if isinstance(change, dict)] if isinstance(given, list) else []
        if item.get("status") != "completed":
            return changes
        with Beneath(self._jail.worktree, self._jail.inside) as worktree:
            return [_written(worktree, change, CONTENT_MAX // len(changes)) for change in changes]


def cause(said: str) -> Cause:
    """Judge Codex's own words about a turn that failed."""
    return next((found for pattern, found in CAUSES if pattern.search(said)), Cause.CRASH)


def _written(worktree: Beneath, change: dict[str, Any], limit: int) -> dict[str, Any]:
    """Add the new content of a file, or why there is none: it may be gone again, or be a link by now."""
    if change.get("kind") == "delete":
        return change
    try:
        content = worktree.read(str(change.get("path", "")))
    except (ToolFault, OSError) as fault:
        return change | {"unread": str(fault)}
    return change | {"content": content[:limit].decode(errors="replace"), "bytes": len(content)}


def _returned(key: str, item: dict[str, Any]) -> Returned:
    code = item.get("exit_code")
    is_code = isinstance(code, int)
    output = item.get("aggregated_output")
    if not isinstance(output, str):
        found = {name: item[name] for name in ("result", "error") if item.get(name) is not None}
        output = msgspec.json.encode(found).decode() if found else ""
    is_ok = item.get("status", "completed") == "completed" and (not is_code or code == 0)
    return Returned(key, is_ok, output.encode(errors="replace"), code if is_code else None)
