"""Build the deliveries of forges/hostile as the raw requests that they describe."""

from __future__ import annotations

import copy
import hashlib
import hmac
import importlib.util
import json
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from tests.bot.web.serving import SECRET

BASES = {
    "issues": "issues/09-labeled.json",
    "issues.labeled": "issues/09-labeled.json",
    "issues.unlabeled": "issues/24-unlabeled.json",
    "issues.transferred": "issues/21-transferred.json",
    "issue_comment": "issue_comment/01-created.json",
    "pull_request": "pull_request/03-closed.json",
    "check_suite": "check_suite/00-completed.json",
    "push": "push/00-none.json",
}
TYPES = {True: "application/json", "form": "application/x-www-form-urlencoded"}


@dataclass(frozen=True)
class Request:
    """One request to send; `pieces` is the body in the pieces that go out."""

    method: str
    headers: list[tuple[str, bytes]]
    body: bytes
    is_chunked: bool
    delivery: str

    @property
    def pieces(self) -> Iterator[bytes]:
        for start in range(0, len(self.body), 65536):
            piece = self.body[start : start + 65536]
            yield b"%x\r\n%b\r\n" % (len(piece), piece) if self.is_chunked else piece
        if self.is_chunked:
            yield b"0\r\n\r\n"


def load(folder: Path) -> list[dict[str, Any]]:
    """Read the deliveries that concern GitHub."""
    lines = (folder / "deliveries.jsonl").read_text().splitlines()
    return [case for case in map(json.loads, lines) if case["forge"] in ("github", "both")]


def requests(case: dict[str, Any], data: Path) -> list[Request]:
    """Make the request or requests of one case."""
    bases = case.get("sequence") or [case.get("base") or case.get("event") or ""]
    if case["id"] == "H018":
        return [_request(case, "", method, data) for method in ("GET", "PUT", "DELETE")]
    made = [_request(case, base, case.get("method", "POST"), data) for base in bases]
    return made * case.get("times", 1)


def _request(case: dict[str, Any], base: str, method: str, data: Path) -> Request:
    body = _body(case, base, data)
    content_type = TYPES["form" if case.get("encode") == "form" else True]
    signed = body
    if case.get("encode") == "form":
        body = b"payload=" + quote(signed, safe="").encode()
        signed = signed if case.get("sign") == "decoded" else body
    delivery = str(uuid.uuid4())
    plain: dict[str, str | None] = {
        "Content-Type": content_type,
        "Content-Length": str(len(body)),
        "X-GitHub-Event": base.partition(".")[0] or "issues",
        "X-GitHub-Delivery": delivery,
        **case.get("headers", {}),
    }
    is_chunked = plain.get("Transfer-Encoding") == "chunked"
    if is_chunked:
        del plain["Content-Length"]
    headers = [(name, value.encode()) for name, value in plain.items() if value is not None]
    return Request(method, headers + _signatures(case.get("sign"), signed), body, is_chunked, delivery)


def _body(case: dict[str, Any], base: str, data: Path) -> bytes:
    recipe = case.get("body_gen", {})
    if not base:
        return _materialise(data)(recipe) if recipe else b""
    payload = json.loads((data / "forges/github/payloads" / BASES[base]).read_text())
    for pointer, value in case.get("set", {}).items():
        payload = _set(payload, pointer.split("/")[1:], value)
    prefix = _materialise(data)({"b64": recipe["prefix_b64"]}) if recipe else b""
    return prefix + json.dumps(payload).encode()


def _set(payload: dict[str, Any], path: list[str], value: Any) -> dict[str, Any]:
    payload = copy.deepcopy(payload)
    place = payload
    for name in path[:-1]:
        place = place[name]
    if value == "__delete__":
        del place[path[-1]]
    else:
        place[path[-1]] = value
    return payload


def _materialise(data: Path) -> Any:
    spec = importlib.util.spec_from_file_location("materialise", data / "forges/hostile/materialise.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.materialise


def _signatures(how: Any, body: bytes) -> list[tuple[str, bytes]]:
    def sha256(secret: str) -> bytes:
        return hmac.new(secret.encode(), body, hashlib.sha256).hexdigest().encode()

    name = "X-Hub-Signature-256"
    if how == "sha1":
        return [("X-Hub-Signature", b"sha1=" + hmac.new(SECRET.encode(), body, hashlib.sha1).hexdigest().encode())]
    if how == "double":
        return [(name, b"sha256=" + b"0" * 64), (name, b"sha256=" + sha256(SECRET))]
    return {
        None: [],
        True: [(name, b"sha256=" + sha256(SECRET))],
        "decoded": [(name, b"sha256=" + sha256(SECRET))],
        "bare": [(name, sha256(SECRET))],
        "empty-secret": [(name, b"sha256=" + sha256(""))],
    }[how]
