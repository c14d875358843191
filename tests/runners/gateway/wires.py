"""Every way in which a runtime asks through the door, as a table."""

from __future__ import annotations

from typing import Any

import msgspec

MODEL = "claude-test-1"


class Wire(msgspec.Struct, frozen=True):
    """One path of one dialect; `{}` stands for the model in path and body."""

    name: str
    dialect: str
    path: str
    header: str  # where the runtime puts the token, and where the key has to be
    body: dict[str, Any]
    streams: bool = True
    content_type: str = "text/event-stream"
    garbage: str = "data: {not json\n\n"

    def target(self, model: str = MODEL) -> str:
        """Fill the model into the path."""
        return self.path.replace("{}", model)

    def fields(self, model: str = MODEL) -> dict[str, Any]:
        """Fill the model into the body."""
        return {key: model if value == "{}" else value for key, value in self.body.items()}

    def auth(self, token: str) -> dict[str, str]:
        """Present the token as this runtime does."""
        return {self.header: f"Bearer {token}" if self.header == "authorization" else token}


CHAT = {"model": "{}", "messages": []}
INPUT = {"model": "{}", "input": "hello"}
CONTENTS = {"contents": [{"role": "user", "parts": [{"text": "hello"}]}]}
CLAUDE = {"anthropic_version": "bedrock-2023-05-31", "max_tokens": 9, "messages": []}
ON, OFF = {"stream": True}, {"stream": False}
BEARER = "authorization"
GEMINI = "/v1beta/models/{}:"
DEPLOYMENT = "/openai/deployments/{}/chat/completions?api-version=2024-10-21"
JSON, FRAMES, NDJSON = "application/json", "application/vnd.amazon.eventstream", "application/x-ndjson"

WIRES = (
    Wire("messages", "anthropic", "/v1/messages", "x-api-key", CHAT, streams=False),
    Wire("messages-stream", "anthropic", "/v1/messages", "x-api-key", CHAT | ON, garbage="event: error\ndata: {\n\n"),
    Wire("chat", "openai", "/v1/chat/completions", BEARER, CHAT, streams=False),
    Wire("chat-stream", "openai", "/v1/chat/completions", BEARER, CHAT | ON),
    Wire("responses", "openai", "/v1/responses", BEARER, INPUT, streams=False),
    Wire("responses-stream", "openai", "/v1/responses", BEARER, INPUT | ON),
    Wire("gemini", "gemini", GEMINI + "generateContent", "x-goog-api-key", CONTENTS, streams=False),
    Wire("gemini-sse", "gemini", GEMINI + "streamGenerateContent?alt=sse", "x-goog-api-key", CONTENTS),
    Wire(
        "gemini-array", "gemini", GEMINI + "streamGenerateContent", "x-goog-api-key", CONTENTS,
        content_type=JSON, garbage="<html>proxy error</html>",
    ),
    Wire("ollama", "ollama", "/api/chat", BEARER, CHAT | OFF, streams=False),
    Wire("ollama-stream", "ollama", "/api/chat", BEARER, CHAT, content_type=NDJSON, garbage="{not json\n"),
    Wire("azure-deployment", "azure", DEPLOYMENT, "api-key", {"messages": []}, streams=False),
    Wire("azure-deployment-stream", "azure", DEPLOYMENT, "api-key", CHAT | ON),
    Wire("azure-v1-stream", "azure", "/openai/v1/chat/completions", "api-key", CHAT | ON),
    Wire("azure-responses-stream", "azure", "/openai/v1/responses", "api-key", INPUT | ON),
    Wire("bedrock", "bedrock", "/model/{}/invoke", BEARER, CLAUDE, streams=False),
    Wire(
        "bedrock-stream", "bedrock", "/model/{}/invoke-with-response-stream", BEARER, CLAUDE,
        content_type=FRAMES, garbage="neither a frame nor JSON",
    ),
)  # fmt: skip


def message(dialect: str, error: dict[str, Any]) -> str:
    """Take the text out of an error, where the dialect's own runtimes look for it."""
    if dialect == "ollama":
        return str(error["error"])
    if dialect == "bedrock":
        assert error["__type"].endswith("Exception")
        return str(error["message"])
    if dialect == "gemini":
        assert error["error"]["status"].isupper()
    else:
        assert error["error"]["type"]
    return str(error["error"]["message"])
