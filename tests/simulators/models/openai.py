"""The chat completions wire: chunks and plain JSON."""

from __future__ import annotations

import json
import uuid
from typing import Any

from tests.simulators.models.script import Step

ERRORS = {
    400: ("invalid_request_error", None),
    401: ("invalid_request_error", "invalid_api_key"),
    404: ("invalid_request_error", "model_not_found"),
    429: ("requests", "rate_limit_exceeded"),
}


def error(status: int, message: str) -> dict[str, Any]:
    """Shape an error as the API does."""
    kind, code = ERRORS.get(status, ("server_error", None))
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


def _usage(step: Step) -> dict[str, Any]:
    given, made = step.tokens
    return {
        "prompt_tokens": given, "completion_tokens": made, "total_tokens": given + made,
        "prompt_tokens_details": {"cached_tokens": step.cached},
    }  # fmt: skip


def _calls(step: Step) -> list[dict[str, Any]]:
    return [
        {
            "id": f"call_{uuid.uuid4().hex[:12]}",
            "type": "function",
            "function": {
                "name": tool.name,
                "arguments": json.dumps(tool.arguments) if tool.raw is None else tool.raw,
            },
        }
        for tool in step.tools
    ]


def _stop(step: Step) -> str:
    return step.stop or ("tool_calls" if step.tools else "stop")


def completion(model: str, step: Step) -> dict[str, Any]:
    """Shape a whole answer."""
    said: dict[str, Any] = {"role": "assistant", "content": step.text or None}
    if step.tools:
        said["tool_calls"] = _calls(step)
    return {
        "id": f"chatcmpl-{uuid.uuid4().hex[:16]}", "object": "chat.completion", "created": 1, "model": model,
        "choices": [{"index": 0, "message": said, "finish_reason": _stop(step)}], "usage": _usage(step),
    }  # fmt: skip


def events(model: str, step: Step, *, usage: bool) -> list[bytes]:
    """Shape the answer as chunks; the usage comes in a last chunk of its own, only where it was asked for."""
    deltas: list[dict[str, Any]] = [{"role": "assistant", "content": ""}]
    size = max(8, len(step.text) // 16)
    deltas += [{"content": step.text[at : at + size]} for at in range(0, len(step.text), size)]
    for index, call in enumerate(_calls(step)):
        function = call["function"]
        head = call | {"index": index, "function": {"name": function["name"], "arguments": ""}}
        deltas.append({"tool_calls": [head]})
        deltas.append({"tool_calls": [{"index": index, "function": {"arguments": function["arguments"]}}]})
    chunk = {"id": f"chatcmpl-{uuid.uuid4().hex[:16]}", "object": "chat.completion.chunk", "created": 1, "model": model}
    out = [chunk | {"choices": [{"index": 0, "delta": delta, "finish_reason": None}]} for delta in deltas]
    out.append(chunk | {"choices": [{"index": 0, "delta": {}, "finish_reason": _stop(step)}]})
    if usage:
        out.append(chunk | {"choices": [], "usage": _usage(step)})
    return [f"data: {json.dumps(part)}\n\n".encode() for part in out] + [b"data: [DONE]\n\n"]


def broken() -> bytes:
    """Shape an error in the middle of a stream."""
    return f"data: {json.dumps(error(500, 'The server had an error'))}\n\n".encode()
