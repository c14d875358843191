"""The dialect of Amazon Bedrock's InvokeModel for Claude: Messages in frames of AWS, the model in the path.

https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_InvokeModelWithResponseStream.html
"""

from __future__ import annotations

import re
from typing import Final

import msgspec

from runners.gateway.anthropic import Anthropic, MessagesMeter
from runners.gateway.dialect import Kind, Meter
from runners.gateway.errors import Broken
from runners.gateway.sse import Event
from runners.providers.protocol import Upstream

ERRORS: Final = {
    400: "ValidationException",
    401: "UnrecognizedClientException",
    403: "AccessDeniedException",
    404: "ResourceNotFoundException",
    429: "ThrottlingException",
    503: "ServiceUnavailableException",
    504: "ModelTimeoutException",
}


class Bedrock(Anthropic):
    """Anthropic's models at Bedrock; requests are signed in forward.py where the upstream has AWS credentials."""

    name = "bedrock"
    paths: dict[str, Kind] = {
        "/model/{model}/invoke": Kind.GENERATE,
        "/model/{model}/invoke-with-response-stream": Kind.GENERATE,
        "/inference-profiles": Kind.MODELS,  # Claude asks at its start
    }
    queries = re.compile("")

    def url(self, base: str, path: str) -> str:
        """Join; there is no default, since the address names the region."""
        return base.rstrip("/") + path

    def credentials(self, upstream: Upstream, beta: str) -> dict[str, str]:  # noqa: ARG002 - betas stand in the body
        """Send a Bedrock API key as bearer; nothing where the request will be signed."""
        if upstream.access_key:
            return {}
        return {"authorization": f"Bearer {upstream.auth_token or upstream.api_key}"}

    def error(self, status: int, message: str) -> bytes:
        """Shape an error as the API does."""
        kind = ERRORS.get(status, "InternalServerException" if status >= 500 else "ValidationException")
        return msgspec.json.encode({"message": message, "__type": kind})

    def meter(self, kind: Kind, path: str = "") -> Meter:  # noqa: ARG002 - one kind of answer here
        """Make a meter for one answer."""
        return InvokeMeter()


class _Chunk(msgspec.Struct):
    packed: bytes = msgspec.field(name="bytes")  # base64 of an event


class _Named(msgspec.Struct):
    type: str


_CHUNK: Final = msgspec.json.Decoder(_Chunk)
_NAMED: Final = msgspec.json.Decoder(_Named)


class InvokeMeter(MessagesMeter):
    """Counts one answer: each frame holds one event of a Messages stream."""

    def event(self, event: Event) -> None:
        """Unpack one frame and read its event; frames of other names pass unread."""
        if event.name != "chunk":
            return
        try:
            data = _CHUNK.decode(event.data).packed
            name = _NAMED.decode(data).type
        except msgspec.MsgspecError as problem:
            raise Broken(f"a frame of the stream is not readable: {problem}") from problem
        super().event(Event(name, data))
