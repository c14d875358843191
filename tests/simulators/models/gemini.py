"""The Gemini wire: chunks as events or as elements of an array, and plain JSON."""

from __future__ import annotations

import json
from typing import Any

from tests.simulators.models.script import Step

STATUS = {400: "INVALID_ARGUMENT", 401: "UNAUTHENTICATED", 404: "NOT_FOUND", 429: "RESOURCE_EXHAUSTED"}


def error(status: int, message: str) -> dict[str, Any]:
    """Shape an error as the API does."""
    return {"error": {"code": status, "message": message, "status": STATUS.get(status, "INTERNAL")}}


def _chunk(parts: list[dict[str, Any]], step: Step, made: int) -> dict[str, Any]:
    usage = {
        "promptTokenCount": step.tokens[0], "candidatesTokenCount": made, "totalTokenCount": step.tokens[0] + made,
        "cachedContentTokenCount": step.cached,
    }  # fmt: skip
    return {"candidates": [{"content": {"role": "model", "parts": parts}, "index": 0}], "usageMetadata": usage}


def _calls(step: Step) -> list[dict[str, Any]]:
    return [{"functionCall": {"name": tool.name, "args": tool.arguments}} for tool in step.tools]


def answer(step: Step) -> dict[str, Any]:
    """Shape a whole answer."""
    whole = _chunk([{"text": step.text}] * bool(step.text) + _calls(step), step, step.tokens[1])
    whole["candidates"][0]["finishReason"] = step.stop or "STOP"
    return whole


def chunks(step: Step) -> list[dict[str, Any]]:
    """Shape the answer as chunks; each says the usage so far."""
    size = max(8, len(step.text) // 16)
    texts = [step.text[at : at + size] for at in range(0, len(step.text), size)]
    out = [_chunk([{"text": text}], step, min(at + 1, step.tokens[1])) for at, text in enumerate(texts)]
    out += [_chunk([call], step, step.tokens[1]) for call in _calls(step)]
    last = _chunk([{"text": ""}], step, step.tokens[1])
    last["candidates"][0]["finishReason"] = step.stop or "STOP"
    return [*out, last]


def events(step: Step) -> list[bytes]:
    """Shape the chunks as events."""
    return [f"data: {json.dumps(chunk)}\r\n\r\n".encode() for chunk in chunks(step)]


def array(step: Step) -> list[bytes]:
    """Shape the chunks as the elements of one array."""
    made = [json.dumps(chunk, indent=2).encode() for chunk in chunks(step)]
    return [(b",\r\n" if at else b"[") + one for at, one in enumerate(made)] + [b"]"]


def broken(*, in_array: bool) -> bytes:
    """Shape an error in the middle of a stream."""
    body = json.dumps(error(500, "An internal error has occurred")).encode()
    return b",\r\n" + body + b"]" if in_array else b"data: " + body + b"\r\n\r\n"
