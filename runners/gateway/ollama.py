"""The native dialect of Ollama (https://docs.ollama.com/api): lines of JSON, the last one with `done`."""

from __future__ import annotations

import re
from typing import Any, Final

import msgspec

from bot.settings import Price
from runners.gateway.dialect import Answer, CountMeter, Fields, Kind, Meter, Pieces, Tokens, decoded, undiscounted
from runners.gateway.sse import Event
from runners.providers.protocol import Upstream

THOUGHT, TEXT, TOOLS = 0, 1, 10  # where thoughts, text and the first tool call stand in the record


class Ollama:
    """Chats; of the rest of the API only what reads: the list of models, and what the routed one can do."""

    name = "ollama"
    paths: dict[str, Kind] = {
        "/api/chat": Kind.GENERATE,
        "/api/show": Kind.COUNT,
        "/api/tags": Kind.LIST,
    }
    queries = re.compile("")

    def url(self, base: str, path: str) -> str:
        """Join; some people give the base of the OpenAI-like API of the same server."""
        return (base or "http://127.0.0.1:11434").rstrip("/").removesuffix("/v1").removesuffix("/api") + path

    def credentials(self, upstream: Upstream, beta: str) -> dict[str, str]:  # noqa: ARG002 - no such header here
        """Send a key as bearer; a local server has none."""
        secret = upstream.auth_token or upstream.api_key
        return {"authorization": f"Bearer {secret}"} if secret else {}

    def prepare(self, fields: Fields) -> Fields:
        """Leave the request as it is: the last line carries the usage."""
        return fields

    def error(self, status: int, message: str) -> bytes:  # noqa: ARG002 - the body does not repeat it here
        """Shape an error as the API does."""
        return msgspec.json.encode({"error": message})

    def meter(self, kind: Kind, path: str = "") -> Meter:  # noqa: ARG002 - the kind says all
        """Make a meter for one answer."""
        return OllamaMeter() if kind is Kind.GENERATE else CountMeter()

    def price(self, price: Price) -> Price:
        """Charge cached input in full: the counts do not tell it apart."""
        return undiscounted(price)


class _Function(msgspec.Struct):
    name: str = ""
    arguments: Any = None


class _ToolCall(msgspec.Struct):
    function: _Function | None = None


class _Message(msgspec.Struct):
    content: str | None = None
    thinking: str | None = None
    tool_calls: list[_ToolCall] | None = None


class _Line(msgspec.Struct):
    message: _Message | None = None
    done: bool = False
    done_reason: str | None = None
    prompt_eval_count: int | None = None
    eval_count: int | None = None
    error: Any = None


_LINE: Final = msgspec.json.Decoder(_Line)


class OllamaMeter:
    """Counts one answer; a count that is left out is zero."""

    def __init__(self) -> None:
        self._tokens = Tokens()
        self._stop = ""
        self._pieces = Pieces()
        self._calls = 0

    def event(self, event: Event) -> None:
        """Read one line."""
        self.body(event.data)

    def body(self, raw: bytes) -> None:
        """Read a line or a whole answer: they have one shape."""
        read = decoded(_LINE, raw)
        if read.message:
            self._say(read.message)
        if read.done:
            self._tokens = Tokens(fresh=max(0, read.prompt_eval_count or 0), out=max(0, read.eval_count or 0))
            self._stop = read.done_reason or "stop"

    def answer(self) -> Answer:
        """Say what was read so far."""
        return Answer(self._tokens, self._stop, bool(self._stop), self._pieces.json())

    def _say(self, message: _Message) -> None:
        for index, kind, text in ((THOUGHT, "thinking", message.thinking), (TEXT, "text", message.content)):
            if text:
                self._pieces.open(index, {"type": kind})
                self._pieces.add(index, text)
        for call in message.tool_calls or ():
            function = call.function or _Function()
            self._pieces.open(TOOLS + self._calls, {"tool": function.name})
            self._pieces.add(TOOLS + self._calls, msgspec.json.encode(function.arguments or {}).decode())
            self._calls += 1
