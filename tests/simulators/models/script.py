"""What a scripted model answers, call by call."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import msgspec


class Tool(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One tool call of an answer; `raw` replaces the JSON of the arguments, to send what is not valid."""

    name: str
    arguments: dict[str, Any] = {}
    raw: str | None = None
    is_custom: bool = False  # Responses: a call whose input is free text, given by `raw`


class Step(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One answer: text and tool calls, or one of the ways in which an API fails."""

    text: str = ""
    tools: tuple[Tool, ...] = ()
    tokens: tuple[int, int] = (100, 20)  # input, output
    cached: int = 0  # of the input, read from the prompt cache
    status: int = 200
    headers: dict[str, str] = {}
    body: Any = None  # sent instead of the dialect's own body; a string is sent as it is
    stop: str = ""  # stop reason, where not the usual one
    hang: Literal["", "before", "mid"] = ""  # before the headers, or after the first events
    cut: bool = False  # drop the connection after the first events
    broken: bool = False  # an error event in the middle of the stream
    pause: float = 0.0  # seconds between events
    when: str = ""  # only for a request whose body holds this text
    repeat: int = 1  # 0: for ever


Maker = Callable[[dict[str, Any]], Step]


class Script:
    """Steps in order; each request takes the first unused one whose `when` fits, and none left is an error 400."""

    def __init__(self, steps: Sequence[Step | Maker] = ()) -> None:
        self._left: list[tuple[Step | Maker, int]] = []
        self.extend(steps)

    @classmethod
    def load(cls, path: Path) -> Script:
        """Read a JSON list of steps."""
        return cls(msgspec.json.decode(path.read_bytes(), type=list[Step]))

    def extend(self, steps: Sequence[Step | Maker]) -> None:
        """Add steps at the end."""
        self._left += [(step, step.repeat if isinstance(step, Step) else 1) for step in steps]

    @property
    def left(self) -> int:
        """Count the steps that nobody asked for yet."""
        return sum(1 for _, times in self._left if times)

    def take(self, raw: str, body: dict[str, Any]) -> Step:
        """Take the step that answers this request."""
        for at, (step, times) in enumerate(self._left):
            if isinstance(step, Step) and step.when and step.when not in raw:
                continue
            if times == 1:
                del self._left[at]
            elif times:
                self._left[at] = (step, times - 1)
            return step if isinstance(step, Step) else step(body)
        return Step(status=400, body={"type": "error", "error": {"type": "script", "message": "script exhausted"}})
