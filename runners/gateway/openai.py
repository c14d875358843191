"""The OpenAI dialect: chat completions and Responses (https://platform.openai.com/docs/api-reference)."""

from __future__ import annotations

import re
from typing import Any, Final

import msgspec

from bot.settings import Price
from runners.gateway.dialect import Answer, Fields, Kind, Meter, Pieces, Tokens, broke_off, decoded, undiscounted
from runners.gateway.errors import Denied
from runners.gateway.responses import ResponsesMeter
from runners.gateway.sse import Event
from runners.providers.protocol import Upstream

ERROR_TYPES: Final = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}
TEXT, THOUGHT, TOOLS = 1, 0, 10  # where text, reasoning and the first tool call stand in the record


class OpenAI:
    """Chat completions and Responses of OpenAI and of the many servers that speak like it."""

    name = "openai"
    paths: dict[str, Kind] = {
        "/v1/chat/completions": Kind.GENERATE,
        "/v1/responses": Kind.GENERATE,
        "/v1/models": Kind.MODELS,
    }
    queries = re.compile("")

    def url(self, base: str, path: str) -> str:
        """Join; base URLs of this dialect end in the version (`https://host/v1`)."""
        return (base or "https://api.openai.com/v1").rstrip("/") + path.removeprefix("/v1")

    def credentials(self, upstream: Upstream, beta: str) -> dict[str, str]:  # noqa: ARG002 - no such header here
        """Send the key as bearer; a local server may have none."""
        secret = upstream.auth_token or upstream.api_key
        return {"authorization": f"Bearer {secret}"} if secret else {}

    def prepare(self, fields: Fields) -> Fields:
        """Ask for the usage of a chat stream, which is left out unless asked for; the client gets one chunk more.

        A response in the background goes on after its answer ended: nobody would count it, so it is denied.
        """
        if bytes(fields.get("background", b"false")) not in (b"false", b"null"):
            raise Denied(400, "BODY", "the gateway forwards no responses in the background")
        if "messages" not in fields:
            return fields  # Responses streams carry their usage
        if bytes(fields.get("stream", b"false")) != b"true":
            return fields
        try:
            asked = msgspec.json.decode(fields.get("stream_options", msgspec.Raw(b"{}")), type=dict[str, Any] | None)
        except msgspec.MsgspecError:
            return fields  # the upstream will say what is wrong with it
        return fields | {"stream_options": msgspec.Raw(msgspec.json.encode((asked or {}) | {"include_usage": True}))}

    def error(self, status: int, message: str) -> bytes:
        """Shape an error as the API does."""
        kind = ERROR_TYPES.get(status, "invalid_request_error" if status < 500 else "server_error")
        return msgspec.json.encode({"error": {"message": message, "type": kind, "param": None, "code": None}})

    def meter(self, kind: Kind, path: str = "") -> Meter:  # noqa: ARG002 - the path says all
        """Make a meter for one answer."""
        return ResponsesMeter() if path.endswith("/responses") else ChatMeter()

    def price(self, price: Price) -> Price:
        """Charge cached input in full where the table does not say."""
        return undiscounted(price)


class _Details(msgspec.Struct):
    cached_tokens: int | None = None


class _Usage(msgspec.Struct):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    prompt_tokens_details: _Details | None = None


class _Function(msgspec.Struct):
    name: str | None = None
    arguments: str | dict[str, Any] | None = None  # some local servers send an object


class _ToolCall(msgspec.Struct):
    index: int | None = None
    function: _Function | None = None


class _Said(msgspec.Struct):
    content: str | list[Any] | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None  # OpenRouter, Groq and newer vLLM call it so
    tool_calls: list[_ToolCall] | None = None


class _Choice(msgspec.Struct):
    index: int = 0
    delta: _Said | None = None
    message: _Said | None = None
    finish_reason: str | None = None


class _Chunk(msgspec.Struct):
    object: str | None = None
    choices: list[_Choice] | None = None
    usage: _Usage | None = None
    error: Any = None


_CHUNK: Final = msgspec.json.Decoder(_Chunk)


FAILED: Final = "error"  # as vLLM names an object, and OpenRouter the reason, where generating broke off


class ChatMeter:
    """Counts one answer; a stream is complete once a finish reason was seen (not all servers send [DONE])."""

    def __init__(self) -> None:
        self._usage = _Usage()
        self._stop = ""
        self._pieces = Pieces()

    def event(self, event: Event) -> None:
        """Read one chunk."""
        if event.data.strip() != b"[DONE]":
            self.body(event.data)

    def body(self, raw: bytes) -> None:
        """Read a chunk or a whole completion: they differ only in `delta` and `message`."""
        read = decoded(_CHUNK, raw)
        if read.object == FAILED or any(choice.finish_reason == FAILED for choice in read.choices or ()):
            raise broke_off(raw)
        if read.usage:
            self._usage = read.usage
        for choice in read.choices or ():
            said = choice.delta or choice.message
            if said and choice.index == 0:
                self._say(said)
            self._stop = choice.finish_reason or self._stop

    def answer(self) -> Answer:
        """Say what was read so far; prompt_tokens hold the cached ones as well."""
        usage = self._usage
        given = max(0, usage.prompt_tokens or 0)
        cached = (usage.prompt_tokens_details and usage.prompt_tokens_details.cached_tokens) or 0
        cached = min(max(0, cached), given)
        tokens = Tokens(fresh=given - cached, cache_read=cached, out=max(0, usage.completion_tokens or 0))
        return Answer(tokens, self._stop, bool(self._stop), self._pieces.json())

    def _say(self, said: _Said) -> None:
        self._part(THOUGHT, {"type": "thinking"}, said.reasoning_content or said.reasoning)
        self._part(TEXT, {"type": "text"}, said.content)
        for at, call in enumerate(said.tool_calls or ()):
            function = call.function or _Function()
            index = TOOLS + (at if call.index is None else call.index)
            self._part(index, {"tool": function.name or ""}, function.arguments)

    def _part(self, index: int, head: dict[str, Any], text: Any) -> None:
        if text is None and "tool" not in head:
            return
        self._pieces.open(index, head)
        self._pieces.add(index, text if isinstance(text, str) else msgspec.json.encode(text).decode() if text else "")
