"""The chat completions wire: chunks and plain JSON, also as servers other than OpenAI's write them.

A model whose name begins with that of a server (`vllm/...`) answers with its accent; see ACCENTS.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
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
    speak = ACCENTS.get(model.partition("/")[0], plainly)
    return speak(out, step)


def broken() -> bytes:
    """Shape an error in the middle of a stream."""
    return f"data: {json.dumps(error(500, 'The server had an error'))}\n\n".encode()


Chunks = list[dict[str, Any]]


def plainly(chunks: Chunks, _step: Step) -> list[bytes]:
    """Write chunks as OpenAI does."""
    return [_data(chunk) for chunk in chunks] + [b"data: [DONE]\n\n"]


def _data(chunk: dict[str, Any]) -> bytes:
    return f"data: {json.dumps(chunk)}\n\n".encode()


def _whole_calls(chunks: Chunks, change: Callable[[dict[str, Any]], dict[str, Any]]) -> Chunks:
    """Send each call whole in one delta, changed."""
    out: Chunks = []
    for chunk in chunks:
        calls = chunk["choices"] and chunk["choices"][0]["delta"].get("tool_calls")
        if not calls:
            out.append(chunk)
        elif "id" in calls[0]:
            head = calls[0]
        else:
            whole = head | {"function": head["function"] | calls[0]["function"]}
            out.append(_with(chunk, {"tool_calls": [change(whole)]}))
    return out


def _with(chunk: dict[str, Any], delta: dict[str, Any], **choice: Any) -> dict[str, Any]:
    return chunk | {"choices": [chunk["choices"][0] | {"delta": delta} | choice]}


def _thinking(chunks: Chunks, field: str) -> Chunks:
    return [chunks[0], _with(chunks[0], {"content": None, field: 'hm {"name": "run"}'}), *chunks[1:]]


def _openrouter(chunks: Chunks, step: Step) -> list[bytes]:
    """Comments in between, thinking as `reasoning`, a failed vendor as a chunk with an error."""
    said = [_data(chunk | {"provider": "Vendor"}) for chunk in _thinking(chunks, "reasoning")]
    if step.stop == "error":
        failed = _with(chunks[0], {"content": ""}, finish_reason="error")
        said[2:] = [_data(failed | {"error": {"code": 502, "message": "Provider returned error"}})]
    return [b": OPENROUTER PROCESSING\n\n", *[one for event in said for one in (event, b": OPENROUTER PROCESSING\n\n")],
            b"data: [DONE]\n\n"]  # fmt: skip


def _groq(chunks: Chunks, step: Step) -> list[bytes]:
    """Whole calls; one that is none ends the stream with an event that quotes it."""
    if step.stop == "tool_use_failed":
        failed = {"message": "Failed to call a function.", "type": "invalid_request_error", "code": step.stop,
                  "failed_generation": step.text, "status_code": 400}  # fmt: skip
        return [_data(chunks[0]), f"event: error\ndata: {json.dumps({'error': failed})}\n\n".encode()]
    return plainly(_whole_calls(_thinking(chunks, "reasoning"), lambda call: call), step)


def _vllm(chunks: Chunks, step: Step) -> list[bytes]:
    """Thinking as `reasoning_content`, calls without an id; an error is an object of its own kind."""
    if step.stop == "error":
        return [
            _data(chunks[0]),
            _data({"object": "error", "message": "the engine died", "code": 500}),
            b"data: [DONE]\n\n",
        ]
    return plainly(_whole_calls(_thinking(chunks, "reasoning_content"), lambda call: call | {"id": None}), step)


def _lmstudio(chunks: Chunks, step: Step) -> list[bytes]:
    """Neither usage nor index; after the finish reason comes one chunk more, which has none."""
    calls = _whole_calls(chunks, lambda call: {key: value for key, value in call.items() if key != "index"})
    said = [chunk for chunk in calls if chunk["choices"]]
    return plainly([*said, _with(said[-1], {"content": ""}, finish_reason=None)], step)


def _localai(chunks: Chunks, step: Step) -> list[bytes]:
    """Every call is number 0, its arguments are an object, and no finish reason yet is an empty one."""

    def change(call: dict[str, Any]) -> dict[str, Any]:
        function = call["function"]
        return call | {"index": 0, "function": function | {"arguments": json.loads(function["arguments"])}}

    said = _whole_calls(chunks, change)
    for chunk in said:
        for choice in chunk["choices"]:
            choice["finish_reason"] = choice["finish_reason"] or ""
    return plainly(said, step)


def _together(chunks: Chunks, step: Step) -> list[bytes]:
    """The usage stands in the chunk of the finish reason, which is `eos`; the first chunk has no choices."""
    *said, last, usage = chunks if not chunks[-1]["choices"] else [*chunks, {"usage": None}]
    end = last["choices"][0]["finish_reason"]
    last = _with(last, {"content": ""}, finish_reason="eos" if end == "stop" else end, seed=7)
    return plainly([chunks[0] | {"choices": []}, *said, last | {"usage": usage["usage"]}], step)


ACCENTS: dict[str, Callable[[Chunks, Step], list[bytes]]] = {
    "openrouter": _openrouter, "groq": _groq, "vllm": _vllm, "lmstudio": _lmstudio, "localai": _localai,
    "together": _together,
}  # fmt: skip
