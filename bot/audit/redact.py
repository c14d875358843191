"""Find secrets in text before it is stored for good."""

from __future__ import annotations

import json
import re
from collections.abc import Collection
from typing import Final
from urllib.parse import quote

# A token starts where no word goes on; in JSON text `\n` in front of it is an escape and not a letter.
_START: Final = rb"(?:(?<![A-Za-z0-9_-])|(?<=\\[nrt]))"

# Repetitions are bounded so that hostile text cannot make a search quadratic.
_PRIVATE: Final = rb"(?:[A-Z0-9]{1,16} ){0,4}PRIVATE KEY(?: BLOCK)?-----"
_PEM: Final = (
    rb"-----BEGIN " + _PRIVATE + rb"(?:(?!-----)[A-Za-z0-9+/=\s\\:,.()-]){0,16384}(?:-----END " + _PRIVATE + rb")?"
)
_QUOTE: Final = rb"[\\\"']{0,4}"  # a header may stand in JSON, in JSON in JSON, or bare
_KEY_HEADERS: Final = rb"(?:x-api-key|api-key|private-token|job-token|x-gitlab-token)"
_GAP: Final = rb"\s{0,4}"
_VALUE: Final = rb"(?!\[redacted:)[A-Za-z0-9._~+/=-]{8,8192}"

TOKENS: Final[dict[str, re.Pattern[bytes]]] = {
    "private-key": re.compile(_PEM),
    "github-token": re.compile(rb"gh[pousr]_[A-Za-z0-9_.-]{20,512}|github_pat_[A-Za-z0-9_]{20,255}"),
    "gitlab-token": re.compile(
        _START + rb"gl(?:pat|ptt|dt|rt|rtr|cbt|ft|soat|imt|agent|oas|ffct)-[A-Za-z0-9_.-]{16,512}"
    ),
    "anthropic-key": re.compile(_START + rb"sk-ant-[A-Za-z0-9_-]{16,512}"),
    "openai-key": re.compile(_START + rb"sk-(?=[A-Za-z_-]{0,128}[0-9])[A-Za-z0-9_-]{20,512}"),
    "google-key": re.compile(_START + rb"AIza[A-Za-z0-9_-]{35}"),
    "aws-key": re.compile(_START + rb"(?:AKIA|ASIA)[A-Z2-7]{16}(?![A-Z0-9])"),
    "slack-token": re.compile(_START + rb"(?:xox[a-z]|xapp)-[A-Za-z0-9-]{10,512}"),
    "webhook-secret": re.compile(_START + rb"whsec_[A-Za-z0-9+/=]{16,512}"),
    "jwt": re.compile(_START + rb"eyJ[A-Za-z0-9_-]{8,8192}\.eyJ[A-Za-z0-9_-]{8,8192}\.[A-Za-z0-9_-]{0,8192}"),
}
# Of these only the value (after group 1) is cut out: what it was the value of may stay.
VALUES: Final[dict[str, re.Pattern[bytes]]] = {
    "authorization": re.compile(
        rb"(?i)(authorization" + _QUOTE + _GAP + rb"[:=]" + _GAP + _QUOTE + rb"(?:bearer|basic|token)\s{1,4})" + _VALUE
    ),
    "header": re.compile(rb"(?i)(" + _KEY_HEADERS + _QUOTE + _GAP + rb":" + _GAP + _QUOTE + rb")" + _VALUE),
    "bearer": re.compile(rb"(?i)(\bbearer )(?=[a-z._~+/=-]{0,256}[0-9])(?=[^\s]{20})" + _VALUE),
    "url-password": re.compile(rb"([a-z+]{2,16}://[^\s/:@\"'<>]{0,128}:)(?!\[redacted:)[^\s/:@\"'<>]{1,512}(?=@)"),
}


def redact(data: bytes, secrets: Collection[str | bytes] = ()) -> tuple[bytes, int]:
    """Replace what looks like a secret, and every given one, by `[redacted:<kind>]`; return the text and the count.

    Given secrets are found in plain, JSON and URL spelling. What is neither given nor of a known form passes: this is
    the last net, not the first.
    """
    found = 0
    for spelling in _spellings(secrets):
        found += data.count(spelling)
        data = data.replace(spelling, b"[redacted:secret]")
    for name, pattern in TOKENS.items():
        data, count = pattern.subn(b"[redacted:" + name.encode() + b"]", data)
        found += count
    for name, pattern in VALUES.items():
        data, count = pattern.subn(rb"\1[redacted:" + name.encode() + b"]", data)
        found += count
    return data, found


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
