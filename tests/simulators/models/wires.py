"""Which wire a path speaks, and how a step is shaped on it."""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from tests.simulators.models import anthropic, bedrock, gemini, ollama, openai, responses
from tests.simulators.models.script import Step

AZURE = re.compile(r"/openai/(v1|deployments/[^/]+)/(chat/completions|responses)")
GEMINI = re.compile(r"/v1beta/models/([^/]+):(generateContent|streamGenerateContent)")
COUNT = re.compile(r"/v1beta/models/([^/]+):countTokens")
BEDROCK = re.compile(r"/model/([^/]+)/(invoke|invoke-with-response-stream)")
PLAIN = {
    "/v1/messages": "anthropic",
    "/v1/chat/completions": "openai",
    "/v1/responses": "openai",
    "/api/chat": "ollama",
}
ERRORS = {
    "anthropic": anthropic.error, "openai": openai.error, "azure": openai.error, "gemini": gemini.error,
    "ollama": ollama.error, "bedrock": bedrock.error,
}  # fmt: skip


class Shaped(NamedTuple):
    """An answer as its wire has it; `events` is None where it does not stream."""

    whole: Any
    events: list[bytes] | None = None
    broken: bytes = b""
    content_type: str = "text/event-stream"


def wire_of(path: str) -> str:
    """Name the wire of a path; unknown ones are OpenAI's, whose paths servers vary most."""
    for name, pattern in (("azure", AZURE), ("gemini", GEMINI), ("gemini", COUNT), ("bedrock", BEDROCK)):
        if pattern.fullmatch(path):
            return name
    if path.startswith("/v1/messages"):
        return "anthropic"
    return "ollama" if path.startswith("/api/") else "openai"


def lists(method: str, path: str, headers: dict[str, str]) -> str:
    """Name the wire in which the models there are are asked for, empty where they are not."""
    if method != "GET":
        return ""
    if path == "/v1/models":
        return "anthropic" if "anthropic-version" in headers else "openai"
    return {"/v1beta/models": "gemini", "/openai/v1/models": "azure"}.get(path, "")


def asks(path: str) -> bool:
    """Tell whether a path asks a model."""
    return path in PLAIN or any(pattern.fullmatch(path) for pattern in (AZURE, GEMINI, BEDROCK))


def knows(headers: dict[str, str], wire: str, key: str) -> bool:
    """Check the key where this wire carries it, empty: none is asked for; Bedrock checks its own."""
    if not key:
        return True
    bearer = headers.get("authorization") == f"Bearer {key}"
    if wire == "anthropic":
        oauth = "oauth-2025-04-20" in headers.get("anthropic-beta", "")
        return headers.get("x-api-key") == key or (bearer and oauth)
    header = {"azure": "api-key", "gemini": "x-goog-api-key"}.get(wire, "")
    return bearer or headers.get(header) == key


def shape(path: str, query: str, body: dict[str, Any], step: Step) -> Shaped:
    """Shape a step."""
    wire, model, stream = wire_of(path), str(body.get("model", "")), bool(body.get("stream"))
    if wire == "anthropic":
        events = anthropic.events(model, step) if stream else None
        return Shaped(anthropic.message(model, step), events, anthropic.broken())
    if wire == "gemini":
        as_array = query != "alt=sse"
        made = gemini.array(step) if as_array else gemini.events(step)
        kind = "application/json; charset=UTF-8" if as_array else "text/event-stream"
        streams = "stream" in path
        return Shaped(gemini.answer(step), made if streams else None, gemini.broken(in_array=as_array), kind)
    if wire == "ollama":
        lines = ollama.lines(model, step) if body.get("stream", True) else None
        return Shaped(ollama.answer(model, step), lines, ollama.broken(), "application/x-ndjson")
    if wire == "bedrock":
        frames = bedrock.frames(model, step) if path.endswith("stream") else None
        return Shaped(anthropic.message(model, step), frames, bedrock.broken(), "application/vnd.amazon.eventstream")
    if path.endswith("/responses"):
        events = responses.events(model, step) if stream else None
        return Shaped(responses.response(model, step), events, responses.broken())
    asked = bool((body.get("stream_options") or {}).get("include_usage"))
    events = openai.events(model, step, usage=asked) if stream else None
    return Shaped(openai.completion(model, step), events, openai.broken())
