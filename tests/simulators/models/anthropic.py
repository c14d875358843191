"""The Messages wire: stream events and plain JSON."""

from __future__ import annotations

import json
import uuid
from typing import Any

from tests.simulators.models.script import Step

ERRORS = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    413: "request_too_large",
    429: "rate_limit_error",
    500: "api_error",
    529: "overloaded_error",
}


def error(status: int, message: str) -> dict[str, Any]:
    """Shape an error as the API does."""
    return {"type": "error", "error": {"type": ERRORS.get(status, "api_error"), "message": message}}


def _usage(step: Step, output: int) -> dict[str, int]:
    return {
        "input_tokens": step.tokens[0] - step.cached,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": step.cached,
        "output_tokens": output,
    }


def _blocks(step: Step) -> list[dict[str, Any]]:
    blocks: list[dict[str, Any]] = [{"type": "text", "text": step.text}] if step.text else []
    return blocks + [
        {"type": "tool_use", "id": f"toolu_{uuid.uuid4().hex[:20]}", "name": tool.name, "input": tool.arguments}
        for tool in step.tools
    ]


def _stop(step: Step) -> str:
    return step.stop or ("tool_use" if step.tools else "end_turn")


def message(model: str, step: Step) -> dict[str, Any]:
    """Shape a whole answer."""
    return {
        "id": f"msg_{uuid.uuid4().hex[:20]}", "type": "message", "role": "assistant", "model": model,
        "content": _blocks(step), "stop_reason": _stop(step), "stop_sequence": None,
        "usage": _usage(step, step.tokens[1]),
    }  # fmt: skip


def events(model: str, step: Step) -> list[bytes]:
    """Shape the answer as a stream of events."""
    start = message(model, step) | {"content": [], "stop_reason": None, "usage": _usage(step, 1)}
    out: list[dict[str, Any]] = [{"type": "message_start", "message": start}]
    raws = [None] * bool(step.text) + [tool.raw for tool in step.tools]
    for index, (block, raw) in enumerate(zip(_blocks(step), raws, strict=True)):
        if block["type"] == "text":
            empty, deltas = block | {"text": ""}, [{"type": "text_delta", "text": piece} for piece in _cut(step.text)]
        else:
            text = json.dumps(block["input"]) if raw is None else raw
            empty = block | {"input": {}}
            deltas = [{"type": "input_json_delta", "partial_json": piece} for piece in _cut(text)]
        out.append({"type": "content_block_start", "index": index, "content_block": empty})
        out += [{"type": "content_block_delta", "index": index, "delta": delta} for delta in deltas]
        out.append({"type": "content_block_stop", "index": index})
    out.append(
        {"type": "message_delta", "delta": {"stop_reason": _stop(step), "stop_sequence": None},
         "usage": {"output_tokens": step.tokens[1]}}
    )  # fmt: skip
    out.append({"type": "message_stop"})
    return [f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode() for event in out]


def broken() -> bytes:
    """Shape an error in the middle of a stream."""
    return f"event: error\ndata: {json.dumps(error(529, 'Overloaded'))}\n\n".encode()


def _cut(text: str) -> list[str]:
    """Cut a text into pieces as a model streams it: a few, however long it is."""
    size = max(8, len(text) // 16)
    return [text[at : at + size] for at in range(0, len(text), size)]
