"""The native wire of Ollama: lines of JSON, a list of models and what one of them can do."""

from __future__ import annotations

import json
from typing import Any

from tests.simulators.models.script import Step

CREATED = "2026-01-01T00:00:00Z"
MODEL = "qwen3:14b"


def error(_status: int, message: str) -> dict[str, Any]:
    """Shape an error as the API does."""
    return {"error": message}


def tags() -> dict[str, Any]:
    """List the models."""
    return {"models": [{"name": MODEL, "model": MODEL, "size": 9, "digest": "d", "details": {"family": "qwen3"}}]}


def show() -> dict[str, Any]:
    """Say what a model can do."""
    return {"capabilities": ["completion", "tools"], "model_info": {"qwen3.context_length": 40960}}


def _calls(step: Step) -> list[dict[str, Any]]:
    return [
        {"function": {"index": at, "name": tool.name, "arguments": tool.arguments}}
        for at, tool in enumerate(step.tools)
    ]


def _end(step: Step) -> dict[str, Any]:
    return {
        "done": True, "done_reason": step.stop or "stop", "total_duration": 9, "load_duration": 1,
        "prompt_eval_count": step.tokens[0], "prompt_eval_duration": 4,
        "eval_count": step.tokens[1], "eval_duration": 4,
    }  # fmt: skip


def _said(model: str, content: str, calls: list[dict[str, Any]]) -> dict[str, Any]:
    said = {"role": "assistant", "content": content} | ({"tool_calls": calls} if calls else {})
    return {"model": model, "created_at": CREATED, "message": said, "done": False}


def answer(model: str, step: Step) -> dict[str, Any]:
    """Shape a whole answer."""
    return _said(model, step.text, _calls(step)) | _end(step)


def lines(model: str, step: Step) -> list[bytes]:
    """Shape the answer as lines; only the last one says the usage."""
    size = max(8, len(step.text) // 16)
    out = [_said(model, step.text[at : at + size], []) for at in range(0, len(step.text), size)]
    out += [_said(model, "", [call]) for call in _calls(step)]
    out.append(_said(model, "", []) | _end(step))
    return [json.dumps(line).encode() + b"\n" for line in out]


def broken() -> bytes:
    """Shape an error in the middle of a stream."""
    return b'{"error":"an error was encountered while running the model"}\n'
