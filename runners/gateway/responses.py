"""How answers of the OpenAI Responses API are read (https://platform.openai.com/docs/api-reference/responses)."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from runners.gateway.dialect import Answer, Pieces, Tokens, broke_off
from runners.gateway.errors import Broken
from runners.gateway.sse import Event


class _Details(msgspec.Struct):
    cached_tokens: int | None = None


class _Usage(msgspec.Struct):
    input_tokens: int | None = None
    input_tokens_details: _Details | None = None
    output_tokens: int | None = None


class _Text(msgspec.Struct):
    text: str | None = None
    refusal: str | None = None


class _Item(msgspec.Struct):
    type: str = ""
    name: str = ""
    arguments: str | None = None
    input: str | None = None
    content: list[_Text] | None = None
    summary: list[_Text] | None = None


class _Reason(msgspec.Struct):
    reason: str = ""


class _Response(msgspec.Struct):
    status: str | None = None
    usage: _Usage | None = None
    output: list[_Item] | None = None
    incomplete_details: _Reason | None = None
    error: Any = None


class _Event(msgspec.Struct):
    type: str = ""
    output_index: int | None = None
    delta: str = ""
    item: _Item | None = None
    response: _Response | None = None


_EVENT: Final = msgspec.json.Decoder(_Event)
_RESPONSE: Final = msgspec.json.Decoder(_Response)
DELTAS: Final = frozenset(
    f"response.{name}.delta"
    for name in (
        "output_text", "refusal", "function_call_arguments", "custom_tool_call_input",
        "reasoning_text", "reasoning_summary_text",
    )
)  # fmt: skip
ENDS: Final = {"response.completed": "completed", "response.incomplete": "incomplete", "response.failed": "failed"}
READ: Final = DELTAS | ENDS.keys() | {"response.output_item.added", "response.output_item.done", "error"}


class ResponsesMeter:
    """Counts one answer; only response.completed and response.incomplete end it, and both carry the usage."""

    def __init__(self) -> None:
        self._usage = _Usage()
        self._stop = ""
        self._pieces = Pieces()
        self._said: set[int] = set()  # items whose content came in deltas
        self._items = 0

    def event(self, event: Event) -> None:
        """Read one event; those of other names pass unread."""
        if event.name and event.name not in READ:
            return
        try:
            read = _EVENT.decode(event.data)
        except msgspec.MsgspecError as problem:
            raise Broken(f"an event of the stream is not readable: {problem}") from problem
        index = self._items if read.output_index is None else read.output_index
        if read.type == "error":
            raise broke_off(event.data)
        if read.type in DELTAS:
            self._said.add(index)
            self._pieces.add(index, read.delta)
        elif read.type == "response.output_item.added" and read.item:
            self._pieces.open(index, _head(read.item))
        elif read.type == "response.output_item.done" and read.item:
            self._item(index, read.item)
        elif read.type in ENDS and read.response:
            self._end(read.response, ENDS[read.type])

    def body(self, raw: bytes) -> None:
        """Read a whole response."""
        try:
            read = _RESPONSE.decode(raw)
        except msgspec.MsgspecError as problem:
            raise Broken(f"the model's answer is not readable: {problem}") from problem
        for index, item in enumerate(read.output or ()):
            self._item(index, item)
        self._end(read, read.status or "")

    def answer(self) -> Answer:
        """Say what was read so far; input_tokens hold the cached ones as well."""
        usage = self._usage
        given = max(0, usage.input_tokens or 0)
        cached = (usage.input_tokens_details and usage.input_tokens_details.cached_tokens) or 0
        cached = min(max(0, cached), given)
        tokens = Tokens(fresh=given - cached, cache_read=cached, out=max(0, usage.output_tokens or 0))
        return Answer(tokens, self._stop, bool(self._stop), self._pieces.json())

    def _item(self, index: int, item: _Item) -> None:
        self._items = max(self._items, index + 1)
        if index in self._said:
            return
        self._pieces.open(index, _head(item))
        texts = [part.text or part.refusal or "" for part in (item.content or item.summary or ())]
        self._pieces.add(index, item.arguments or item.input or "".join(texts))

    def _end(self, response: _Response, status: str) -> None:
        self._usage = response.usage or self._usage
        if status == "failed" or response.error is not None:
            raise broke_off(msgspec.json.encode({"error": response.error}))
        if status in ("completed", "incomplete"):  # queued and in_progress are no end
            reason = response.incomplete_details.reason if response.incomplete_details else ""
            self._stop = reason or status


def _head(item: _Item) -> dict[str, Any]:
    if item.type.endswith("_call"):
        return {"tool": item.name or item.type}
    return {"type": "text" if item.type == "message" else "thinking"}
