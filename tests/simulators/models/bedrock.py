"""The wire of Bedrock's InvokeModel: the Messages events in frames of AWS."""

from __future__ import annotations

import base64
import json
import struct
import zlib
from datetime import UTC, datetime
from typing import Any

from runners.gateway.sigv4 import Keys, signed
from tests.simulators.models import anthropic
from tests.simulators.models.script import Step

ACCESS, SESSION, REGION = "AKIDEXAMPLE", "session-token-0123456789", "eu-west-1"
ERRORS = {401: "UnrecognizedClientException", 404: "ResourceNotFoundException", 429: "ThrottlingException"}


def error(status: int, message: str) -> dict[str, Any]:
    """Shape an error as the API does."""
    return {"message": message, "__type": ERRORS.get(status, "InternalServerException")}


def knows(method: str, url: str, headers: dict[str, str], raw: bytes, secret: str) -> bool:
    """Check the key or the signature over what really arrived."""
    given = headers.get("authorization", "")
    if given == f"Bearer {secret}":
        return True
    names = given.partition("SignedHeaders=")[2].partition(",")[0].split(";")
    if not {"host", "x-amz-date"} <= set(names):
        return False
    now = datetime.strptime(headers["x-amz-date"], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
    own = ("host", "x-amz-date", "x-amz-security-token")
    bound = {name: headers[name] for name in names if name not in own}
    keys = Keys(ACCESS, secret, SESSION if "x-amz-security-token" in names else "", REGION)
    return given == signed(method, url, bound, raw, keys, now)["authorization"]


def frame(kind: str, name: str, payload: bytes) -> bytes:
    """Pack one frame."""
    named = {":message-type": kind, f":{kind}-type": name, ":content-type": "application/json"}
    head = b"".join(
        bytes([len(key)]) + key.encode() + b"\x07" + struct.pack(">H", len(value)) + value.encode()
        for key, value in named.items()
    )
    prelude = struct.pack(">II", 16 + len(head) + len(payload), len(head))
    body = prelude + struct.pack(">I", zlib.crc32(prelude)) + head + payload
    return body + struct.pack(">I", zlib.crc32(body))


def frames(model: str, step: Step) -> list[bytes]:
    """Shape the answer as frames."""
    out = []
    for event in anthropic.events(model, step):
        data = event.partition(b"data: ")[2].strip()
        chunk = {"bytes": base64.b64encode(data).decode(), "p": "abcdefgh"}
        out.append(frame("event", "chunk", json.dumps(chunk).encode()))
    return out


def broken() -> bytes:
    """Shape an exception in the middle of a stream."""
    return frame("exception", "modelStreamErrorException", b'{"message":"The model broke off"}')
