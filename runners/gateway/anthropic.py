"""The Anthropic Messages dialect (https://docs.anthropic.com/en/api/messages, .../messages-streaming)."""

from __future__ import annotations

import re
from typing import Any, Final

import msgspec

from bot.settings import Price
from runners.gateway.dialect import Answer, CountMeter, Fields, Kind, Meter, Pieces, Tokens, broke_off
from runners.gateway.errors import Broken
from runners.gateway.sse import Event
from runners.providers.protocol import Upstream

OAUTH_BETA: Final = "oauth-2025-04-20"  # without it the API takes no bearer token
ERROR_TYPES: Final = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
}


class Anthropic:
    """Messages and token counts."""

    name = "anthropic"
    paths: dict[str, Kind] = {
        "/v1/messages": Kind.GENERATE,
        "/v1/messages/count_tokens": Kind.COUNT,
        "/v1/models": Kind.MODELS,
    }
    queries = re.compile("(beta=true)?")

    def url(self, base: str, path: str) -> str:
        """Join; the vendor's clients give the base without `/v1`, some people with it."""
        return (base or "https://api.anthropic.com").rstrip("/").removesuffix("/v1") + path

    def credentials(self, upstream: Upstream, beta: str) -> dict[str, str]:
        """Send an API key as x-api-key, an OAuth token as bearer with its beta flag."""
        betas = [flag for flag in (part.strip() for part in beta.split(",")) if flag]
        if upstream.auth_token:
            headers = {"authorization": f"Bearer {upstream.auth_token}"}
            betas = [*(flag for flag in betas if flag != OAUTH_BETA), OAUTH_BETA]
        else:
            headers = {"x-api-key": upstream.api_key}
        return headers | ({"anthropic-beta": ",".join(betas)} if betas else {})

    def prepare(self, fields: Fields) -> Fields:
        """Leave the request as it is: Messages streams carry their usage."""
        return fields

    def error(self, status: int, message: str) -> bytes:
        """Shape an error as the API does."""
        kind = ERROR_TYPES.get(status, "api_error")
        return msgspec.json.encode({"type": "error", "error": {"type": kind, "message": message}})

    def meter(self, kind: Kind, path: str = "") -> Meter:  # noqa: ARG002 - the kind says all
        """Make a meter for one answer."""
        return CountMeter() if kind is Kind.COUNT else MessagesMeter()

    def price(self, price: Price) -> Price:
        """Charge cache writes (5 minutes) 1.25 times the input, cache reads a tenth, as the price list says."""
        return msgspec.structs.replace(
            price,
            cache_read=price.input * 0.1 if price.cache_read is None else price.cache_read,
            cache_write=price.input * 1.25 if price.cache_write is None else price.cache_write,
        )


class _Usage(msgspec.Struct):
    input_tokens: int | None = None
    cache_creation_input_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    output_tokens: int | None = None


class _Block(msgspec.Struct):
    type: str = ""
    name: str = ""
    text: str = ""
    thinking: str = ""
    input: Any = None


class _Delta(msgspec.Struct):
    text: str = ""
    partial_json: str = ""
    thinking: str = ""
    stop_reason: str | None = None


class _Message(msgspec.Struct):
    usage: _Usage = msgspec.field(default_factory=_Usage)
    content: list[_Block] = msgspec.field(default_factory=list)
    stop_reason: str | None = None


class _Event(msgspec.Struct):
    index: int = 0
    message: _Message | None = None
    content_block: _Block | None = None
    delta: _Delta | None = None
    usage: _Usage | None = None
    error: Any = None


_EVENT: Final = msgspec.json.Decoder(_Event)
_MESSAGE: Final = msgspec.json.Decoder(_Message)
_READ: Final = frozenset(
    {"message_start", "content_block_start", "content_block_delta", "message_delta", "message_stop", "error"}
)


class MessagesMeter:
    """Counts one answer; the output count of message_delta is a running total, not a sum."""

    def __init__(self) -> None:
        self._usage = _Usage()
        self._stop = ""
        self._complete = False
        self._pieces = Pieces()

    def event(self, event: Event) -> None:
        """Read one event; those of other names (ping, and what the API may add) pass unread."""
        if event.name not in _READ:
            return
        try:
            read = _EVENT.decode(event.data)
        except msgspec.MsgspecError as problem:
            raise Broken(f"the event {event.name} of the stream is not readable: {problem}") from problem
        if event.name == "error":
            raise broke_off(event.data)
        if event.name == "message_start" and read.message:
            self._count(read.message.usage)
        elif event.name == "content_block_start" and read.content_block:
            self._pieces.open(read.index, _head(read.content_block))
        elif event.name == "content_block_delta" and read.delta:
            self._pieces.add(read.index, read.delta.text or read.delta.partial_json or read.delta.thinking)
        elif event.name == "message_delta":
            self._count(read.usage)
            self._stop = (read.delta and read.delta.stop_reason) or self._stop
        elif event.name == "message_stop":
            self._complete = True

    def body(self, raw: bytes) -> None:
        """Read a whole message."""
        try:
            read = _MESSAGE.decode(raw)
        except msgspec.MsgspecError as problem:
            raise Broken(f"the model's answer is not readable: {problem}") from problem
        self._count(read.usage)
        self._stop = read.stop_reason or ""
        for index, block in enumerate(read.content):
            self._pieces.open(index, _head(block))
            given = msgspec.json.encode(block.input).decode() if block.type == "tool_use" else block.text
            self._pieces.add(index, given or block.thinking)
        self._complete = bool(self._stop)

    def answer(self) -> Answer:
        """Say what was read so far."""
        usage = self._usage
        tokens = Tokens(
            fresh=usage.input_tokens or 0,
            cache_write=usage.cache_creation_input_tokens or 0,
            cache_read=usage.cache_read_input_tokens or 0,
            out=usage.output_tokens or 0,
        )
        return Answer(tokens, self._stop, self._complete, self._pieces.json())

    def _count(self, new: _Usage | None) -> None:
        for name in _Usage.__struct_fields__ if new else ():
            value = getattr(new, name)
            if value is not None:
                setattr(self._usage, name, max(0, value))


def _head(block: _Block) -> dict[str, Any]:
    if block.type.endswith("tool_use"):
        return {"tool": block.name}
    return {"type": block.type}
