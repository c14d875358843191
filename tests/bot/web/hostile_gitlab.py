"""Build the deliveries of forges/hostile that concern GitLab as the raw requests that they describe."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
import uuid
from pathlib import Path
from typing import Any

from tests.bot.web.hostile import Request, _materialise, _set

TOKEN = "secret"
SIGNING = "whsec_" + base64.b64encode(b"0123456789abcdef0123456789abcdef").decode()
BASES = {
    "Note Hook": "go-playground/comment-issue-event.json",
    "Confidential Note Hook": "go-playground/confidential-comment-event.json",
    "Issue Hook": "go-gitlab/issue.json",
    "Confidential Issue Hook": "go-playground/confidential-issue-event.json",
    "Merge Request Hook": "go-gitlab/merge_request.json",
    "Push Hook": "go-gitlab/push.json",
    "Pipeline Hook": "go-gitlab/pipeline.json",
}
# Cases for both forges are written in GitHub's words.
EVENTS = {"issues": "Issue Hook", "issue_comment": "Note Hook"}
POINTERS = {
    "/issue/title": "/object_attributes/title",
    "/issue/body": "/object_attributes/description",
    "/comment/body": "/object_attributes/note",
}
SAME_LABELS = {"previous": [{"title": "gatewright"}], "current": [{"title": "gatewright"}]}
# What a case says in words only.
IN_WORDS: dict[str, dict[str, Any]] = {
    "H090": {"/changes/labels/current": [{"title": "gatewright"}]},
    "H097": {"/object_attributes/action": "update", "/changes/labels": SAME_LABELS},
    "H095": {"/object_attributes/confidential": True},
}


def load(folder: Path) -> list[dict[str, Any]]:
    lines = (folder / "deliveries.jsonl").read_text().splitlines()
    return [case for case in map(json.loads, lines) if case["forge"] in ("gitlab", "both")]


def requests(case: dict[str, Any], data: Path) -> list[Request]:
    """Make the request or requests of one case; repetitions keep their key unless they are different hooks."""
    base = EVENTS.get(case.get("base", ""), case.get("base", ""))
    body = _body(case, base, data)
    event_uuid = str(uuid.uuid4())
    key = str(uuid.uuid4())
    made = []
    for _ in range(case.get("times", 1)):
        key = str(uuid.uuid4()) if case["id"] == "H090" else key
        plain: dict[str, str | None] = {
            "Content-Type": "application/json",
            "User-Agent": "GitLab/18.3.0",
            "X-Gitlab-Event": base or "Push Hook",
            "X-Gitlab-Instance": "https://gitlab.example",
            "X-Gitlab-Webhook-UUID": str(uuid.uuid4()),
            "X-Gitlab-Event-UUID": event_uuid,
            "Idempotency-Key": key,
            "X-Gitlab-Token": None if case["id"] == "H081" or str(case.get("sign")).startswith("standard") else TOKEN,
            **case.get("headers", {}),
            "Content-Length": str(len(body)),
        }
        headers = [(name, value.encode()) for name, value in plain.items() if value is not None]
        made.append(Request("POST", headers + signatures(case.get("sign"), key, body), body, False, key))
    return made


def signatures(how: Any, key: str, body: bytes) -> list[tuple[str, bytes]]:
    if not str(how).startswith("standard-webhooks"):
        return []
    stamp = int(time.time()) - (3_600 if how == "standard-webhooks-old" else 0)
    value = signature(SIGNING, key, stamp, body)
    if how == "standard-webhooks-rotation":
        value = f"v1,{base64.b64encode(b'x' * 32).decode()} v9,zzzz {value}"
    return [
        ("webhook-id", key.encode()),
        ("webhook-timestamp", str(stamp).encode()),
        ("webhook-signature", value.encode()),
    ]


def signature(secret: str, key: str, stamp: int, body: bytes) -> str:
    raw = base64.b64decode(secret.removeprefix("whsec_"))
    return "v1," + base64.b64encode(hmac.digest(raw, f"{key}.{stamp}.".encode() + body, hashlib.sha256)).decode()


def _body(case: dict[str, Any], base: str, data: Path) -> bytes:
    if not base:
        return _materialise(data)(case["body_gen"])
    payload = json.loads((data / "forges/gitlab/payloads" / BASES[base]).read_text())
    for pointer, value in (IN_WORDS.get(case["id"], {}) | case.get("set", {})).items():
        payload = _set(payload, POINTERS.get(pointer, pointer).split("/")[1:], value)
    return json.dumps(payload).encode()
