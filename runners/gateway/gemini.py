"""The Gemini dialect (https://ai.google.dev/api/generate-content): the model stands in the path."""

from __future__ import annotations

import re
from typing import Any, Final

import msgspec

from bot.settings import Price
from runners.gateway.dialect import Answer, CountMeter, Fields, Kind, Meter, Pieces, Tokens, decoded, undiscounted
from runners.gateway.sse import Event
from runners.providers.protocol import Upstream

STATUS: Final = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    429: "RESOURCE_EXHAUSTED",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}
THOUGHT, TEXT, TOOLS = 0, 1, 10  # where thoughts, text and the first function call stand in the record


class Gemini:
    """generateContent, and its stream as events or as one growing array."""

    name = "gemini"
    paths: dict[str, Kind] = {
        "/v1beta/models/{model}:generateContent": Kind.GENERATE,
        "/v1beta/models/{model}:streamGenerateContent": Kind.ARRAY,
        "/v1beta/models/{model}:countTokens": Kind.COUNT,
    }
    queries = re.compile("(alt=sse)?")  # a key in the query matches nothing

    def url(self, base: str, path: str) -> str:
        """Join; some people give the base with its version."""
        return (base or "https://generativelanguage.googleapis.com").rstrip("/").removesuffix("/v1beta") + path

    def credentials(self, upstream: Upstream, beta: str) -> dict[str, str]:  # noqa: ARG002 - no such header here
        """Send the key in its header, never in the URL, which logs and proxies keep."""
        if upstream.auth_token:
            return {"authorization": f"Bearer {upstream.auth_token}"}
        return {"x-goog-api-key": upstream.api_key}

    def prepare(self, fields: Fields) -> Fields:
        """Leave the request as it is: every chunk carries the usage so far."""
        return fields

    def error(self, status: int, message: str) -> bytes:
        """Shape an error as the API does."""
        name = STATUS.get(status, "INTERNAL" if status >= 500 else "FAILED_PRECONDITION")
        return msgspec.json.encode({"error": {"code": status, "message": message, "status": name}})

    def meter(self, kind: Kind, path: str = "") -> Meter:  # noqa: ARG002 - the kind says all
        """Make a meter for one answer."""
        return CountMeter() if kind is Kind.COUNT else GeminiMeter()

    def price(self, price: Price) -> Price:
        """Charge cached input in full where the table does not say."""
        return undiscounted(price)


class _Call(msgspec.Struct):
    name: str = ""
    args: Any = None


class _Part(msgspec.Struct, rename="camel"):
    text: str | None = None
    thought: bool | None = None
    function_call: _Call | None = None


class _Content(msgspec.Struct):
    parts: list[_Part] | None = None


class _Candidate(msgspec.Struct, rename="camel"):
    index: int = 0
    content: _Content | None = None
    finish_reason: str | None = None


class _Usage(msgspec.Struct, rename="camel"):
    prompt_token_count: int | None = None
    cached_content_token_count: int | None = None
    candidates_token_count: int | None = None
    thoughts_token_count: int | None = None
    tool_use_prompt_token_count: int | None = None


class _Feedback(msgspec.Struct, rename="camel"):
    block_reason: str | None = None


class _Chunk(msgspec.Struct, rename="camel"):
    candidates: list[_Candidate] | None = None
    usage_metadata: _Usage | None = None
    prompt_feedback: _Feedback | None = None
    error: Any = None


_CHUNK: Final = msgspec.json.Decoder(_Chunk)


class GeminiMeter:
    """Counts one answer; each chunk's usage replaces the one before, and a finish reason ends it."""

    def __init__(self) -> None:
        self._usage = _Usage()
        self._stop = ""
        self._pieces = Pieces()
        self._calls = 0

    def event(self, event: Event) -> None:
        """Read one chunk."""
        self.body(event.data)

    def body(self, raw: bytes) -> None:
        """Read a chunk or a whole answer: they have one shape."""
        read = decoded(_CHUNK, raw)
        self._usage = read.usage_metadata or self._usage
        if read.prompt_feedback and read.prompt_feedback.block_reason:
            self._stop = f"blocked: {read.prompt_feedback.block_reason}"  # no candidate will follow
        for candidate in read.candidates or ():
            if candidate.index == 0 and candidate.content:
                for part in candidate.content.parts or ():
                    self._say(part)
            self._stop = candidate.finish_reason or self._stop

    def answer(self) -> Answer:
        """Say what was read so far; the prompt's count holds the cached tokens as well."""
        usage = self._usage
        given = max(0, usage.prompt_token_count or 0) + max(0, usage.tool_use_prompt_token_count or 0)
        cached = min(max(0, usage.cached_content_token_count or 0), given)
        out = max(0, usage.candidates_token_count or 0) + max(0, usage.thoughts_token_count or 0)
        tokens = Tokens(fresh=given - cached, cache_read=cached, out=out)
        return Answer(tokens, self._stop, bool(self._stop), self._pieces.json())

    def _say(self, part: _Part) -> None:
        if part.function_call:
            index = TOOLS + self._calls
            self._calls += 1
            self._pieces.open(index, {"tool": part.function_call.name})
            self._pieces.add(index, msgspec.json.encode(part.function_call.args or {}).decode())
        elif part.text:
            index = THOUGHT if part.thought else TEXT
            self._pieces.open(index, {"type": "thinking" if part.thought else "text"})
            self._pieces.add(index, part.text)
