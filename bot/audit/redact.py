"""The one redactor: finds secrets in whatever leaves the machine or is stored for good, and cuts them out."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator
from typing import Any, Final, NamedTuple
from urllib.parse import quote

from bot.audit.redact_form import Form, span_of
from bot.audit.redact_tokens import TOKENS
from bot.audit.redact_values import VALUES

MARK: Final = b"[redacted:"
FORMS: Final = (*TOKENS, *VALUES)
GIVEN: Final = "secret"


class Hit(NamedTuple):
    """Bytes that are a secret, and of which kind."""

    start: int
    end: int
    kind: str


def redact(data: bytes, secrets: Collection[str | bytes] = ()) -> tuple[bytes, int]:
    """Replace what looks like a secret, and every given one, by `[redacted:<kind>]`; return the text and the count.

    Given secrets are found in plain, JSON and URL spelling. What is neither given nor of a known form passes: this is
    the last net, not the first. Redacting twice changes nothing more.
    """
    count = 0
    while hits := find(data, secrets):  # again, because a token may begin where another one was cut out
        data = _cut(data, hits)
        count += len(hits)
    return data, count


def redacted(text: str, secrets: Collection[str | bytes] = ()) -> str:
    """Redact a text; lone surrogates stay as they are."""
    raw = text.encode("utf-8", "surrogatepass")
    clean, count = redact(raw, secrets)
    return clean.decode("utf-8", "surrogatepass") if count else text


def redacted_data(value: Any, secrets: Collection[str | bytes] = ()) -> Any:
    """Redact every text within tables and lists; keys and numbers stay."""
    if isinstance(value, str):
        return redacted(value, secrets)
    if isinstance(value, dict):
        return {key: redacted_data(each, secrets) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(redacted_data(each, secrets) for each in value)
    return value


def find(data: bytes, secrets: Collection[str | bytes] = ()) -> list[Hit]:
    """List secrets in order, none overlapping another; the work grows with the length of the text alone."""
    found = [Hit(*span, GIVEN) for span in _given(data, secrets)]
    lowered = data.lower()
    for form in FORMS:
        found.extend(_of_form(data, lowered if form.folds else data, form))
    found.sort(key=lambda hit: (hit.start, -hit.end))
    merged: list[Hit] = []
    for hit in found:
        if merged and hit.start < merged[-1].end:
            merged[-1] = merged[-1]._replace(end=max(merged[-1].end, hit.end))
        else:
            merged.append(hit)
    return merged


def _of_form(data: bytes, searched: bytes, form: Form) -> Iterator[Hit]:
    for anchor in form.anchors:
        at = searched.find(anchor)
        while at >= 0:
            end = at + 1
            match = form.pattern.match(data, at - form.back) if at >= form.back else None
            if match is not None and form.judge(match):
                start, end = span_of(match)
                rest = form.run.match(data, end) if form.run else None
                end = rest.end() if rest else end
                yield Hit(start, end, form.kind)
            at = searched.find(anchor, max(end, at + 1))


def _given(data: bytes, secrets: Collection[str | bytes]) -> Iterator[tuple[int, int]]:
    """Find given secrets outside of marks, so that a secret that is a word of a mark leaves it alone."""
    for spelling in _spellings(secrets):
        at = data.find(spelling)
        while at >= 0:
            end = at + len(spelling)
            if not _is_marked(data, at, end):
                yield at, end
            at = data.find(spelling, end)


def _is_marked(data: bytes, start: int, end: int) -> bool:
    opened = data.rfind(MARK, max(start - 64, 0), start + len(MARK))
    closed = data.find(b"]", opened, opened + 64) if opened >= 0 else -1
    return opened >= 0 and closed + 1 >= end and opened <= start


def _cut(data: bytes, hits: list[Hit]) -> bytes:
    pieces, at = [], 0
    for start, end, kind in hits:
        pieces += [data[at:start], MARK + kind.encode() + b"]"]
        at = end
    return b"".join([*pieces, data[at:]])


def _spellings(secrets: Collection[str | bytes]) -> list[bytes]:
    """List how each secret may be written, longest first so that none is left over as the rest of another."""
    found: set[bytes] = set()
    for secret in secrets:
        raw = secret.encode() if isinstance(secret, str) else secret
        found.add(raw)
        found.add(quote(raw, safe="").encode())
        text = raw.decode("utf-8", errors="replace")
        found.add(json.dumps(text)[1:-1].encode())
        found.add(json.dumps(text, ensure_ascii=False)[1:-1].encode())
    return sorted(found - {b""}, key=len, reverse=True)
