"""What the agent does right now, out of the stream of its attempt.

For the eye only: what counts is what control chains into the journal, and that may lie seconds behind.
"""

from __future__ import annotations

import difflib
import json
from collections import deque
from typing import Any, Final

import msgspec
from redis.asyncio import Redis

from bot.audit.blobs import Blobs
from bot.model.errors import GatewrightError
from bot.tasks.admit import Entry
from bot.tasks.plain import raw, text
from bot.terminal.screen import safe

SHOWN: Final = 3
BATCH: Final = 100
# Tool names of our own loop and of the Claude runtime -> what is shown.
NAMES: Final = {
    "read": "read", "list": "list", "search": "search", "edit": "edit", "write": "write", "run": "run",
    "Read": "read", "Glob": "list", "Grep": "search", "Edit": "edit", "Write": "write", "Bash": "run",
}  # fmt: skip
ROOTS: Final = ("/workspace/", "./")


class Deeds:
    """The last deeds of one attempt after the other."""

    def __init__(self, redis: Redis, blobs: Blobs) -> None:
        self._redis = redis
        self._blobs = blobs
        self._attempt = ("", 0)
        self._after = "0"
        self._calls: deque[tuple[int, str]] = deque(maxlen=SHOWN)

    async def look(self, task: str, attempt: int) -> tuple[str, ...]:
        """Read on in the stream of an attempt; return its last deeds, oldest first."""
        if self._attempt != (task, attempt):
            self._attempt, self._after = (task, attempt), "0"
            self._calls.clear()
        found: Any = await self._redis.xrange(f"gw:attempt:{task}:{attempt}", min=f"({self._after}", count=BATCH)
        for stream_id, fields in found:
            self._after = text(stream_id)
            self._take(msgspec.json.decode(raw(fields.get(b"r", b"null")), type=Entry | None))
        return tuple(words for _, words in self._calls)

    def _take(self, entry: Entry | None) -> None:
        if entry is None:
            return
        number = int(entry.data.get("call", 0))
        if entry.kind == "tool.call":
            self._calls.append((number, deed(str(entry.data.get("tool", "")), self._arguments(entry))))
        elif entry.kind == "tool.result":
            self._calls = deque(
                ((n, ended(words, entry) if n == number else words) for n, words in self._calls), maxlen=SHOWN
            )
        elif entry.kind == "test.run":
            self._calls.append((-1, checked(entry)))

    def _arguments(self, entry: Entry) -> dict[str, Any]:
        ref = next((ref for ref in entry.refs if ref.name == "args"), None)
        try:
            said = json.loads(self._blobs.get(ref.commit)) if ref else {}
        except (GatewrightError, OSError, ValueError):
            return {}  # a model may write what is no JSON; its tool call is shown without
        return said if isinstance(said, dict) else {}


def deed(tool: str, arguments: dict[str, Any]) -> str:
    """Describe a tool call in one line."""
    name = NAMES.get(tool, tool)
    words = next((str(arguments[key]) for key in ("command", "pattern", "path", "file_path") if key in arguments), "")
    for root in ROOTS:
        words = words.removeprefix(root)
    lines = _lines(name, arguments)
    return safe(f"{name:<7}{_one_line(words)}{'  ' + lines if lines else ''}").rstrip()


def ended(words: str, entry: Entry) -> str:
    """Add how a call ended, where that is worth saying."""
    code = entry.data.get("exit")
    if code is not None:
        return f"{words}: exit {code}"
    return words if entry.outcome == "ok" else f"{words}: {entry.outcome}"


def checked(entry: Entry) -> str:
    """Describe one of the repository's own checks, run by the harness."""
    data = entry.data
    counts = [f"{data[name]} {name}" for name in ("failed", "passed") if data.get(name)]
    return safe(f"{'check':<7}{', '.join([str(data.get('suite', '')), *counts])}: exit {data.get('exit')}")


def _lines(name: str, arguments: dict[str, Any]) -> str:
    """Count the lines that an edit adds and takes away."""
    if name == "write":
        return f"+{len(str(arguments.get('content', '')).splitlines())}"
    if name != "edit":
        return ""
    old, new = (str(arguments.get(a, arguments.get(b, ""))) for a, b in (("old", "old_string"), ("new", "new_string")))
    changed = [line[0] for line in difflib.ndiff(old.splitlines()[:200], new.splitlines()[:200])]
    return f"+{changed.count('+')} \N{MINUS SIGN}{changed.count('-')}"


def _one_line(words: str) -> str:
    first, _, rest = words.strip().partition("\n")
    return first + (" …" if rest else "")
