"""The OpenAI Responses wire: named events and plain JSON."""

from __future__ import annotations

import json
import uuid
from typing import Any

from tests.simulators.models.script import Step, Tool


def _items(step: Step) -> list[dict[str, Any]]:
    said = {
        "type": "message",
        "role": "assistant",
        "id": "msg_1",
        "content": [{"type": "output_text", "text": step.text}],
    }
    return [said] * bool(step.text) + [_call(at, tool) for at, tool in enumerate(step.tools)]


def _call(at: int, tool: Tool) -> dict[str, Any]:
    if tool.is_custom:
        return {"type": "custom_tool_call", "call_id": f"call_{at}", "name": tool.name, "input": tool.raw or ""}
    arguments = json.dumps(tool.arguments) if tool.raw is None else tool.raw
    return {"type": "function_call", "call_id": f"call_{at}", "name": tool.name, "arguments": arguments}


def response(model: str, step: Step) -> dict[str, Any]:
    """Shape a whole answer; a stop reason of the script makes it an incomplete one."""
    given, made = step.tokens
    return {
        "id": f"resp_{uuid.uuid4().hex[:16]}", "object": "response", "model": model, "error": None,
        "status": "incomplete" if step.stop else "completed", "output": _items(step),
        "incomplete_details": {"reason": step.stop} if step.stop else None,
        "usage": {
            "input_tokens": given, "input_tokens_details": {"cached_tokens": step.cached},
            "output_tokens": made, "output_tokens_details": {"reasoning_tokens": 0}, "total_tokens": given + made,
        },
    }  # fmt: skip


def events(model: str, step: Step) -> list[bytes]:
    """Shape the answer as a stream: the text in deltas, tool calls whole, as some servers do."""
    whole = response(model, step)
    out: list[dict[str, Any]] = [
        {"type": "response.created", "response": whole | {"status": "in_progress", "output": [], "usage": None}}
    ]
    for index, item in enumerate(whole["output"]):
        at = {"output_index": index}
        if item["type"] == "message":
            out.append({"type": "response.output_item.added", **at, "item": item | {"content": []}})
            size = max(8, len(step.text) // 16)
            pieces = [step.text[start : start + size] for start in range(0, len(step.text), size)]
            out += [{"type": "response.output_text.delta", **at, "content_index": 0, "delta": text} for text in pieces]
        out.append({"type": "response.output_item.done", **at, "item": item})
    out.append({"type": f"response.{whole['status']}", "response": whole})
    return [f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode() for event in out]


def broken() -> bytes:
    """Shape an error in the middle of a stream."""
    event = {"type": "error", "code": "server_error", "message": "The server had an error", "param": None}
    return f"event: error\ndata: {json.dumps(event)}\n\n".encode()
