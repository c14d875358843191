from __future__ import annotations

import pytest

from bot.audit.redact import find, redact
from bot.audit.redact_values import entropy, is_secret
from tests.bot.audit.samples import LINES, drawn, mixed


@pytest.mark.parametrize("kind", LINES)
def test_a_value_goes_and_what_stands_around_stays(kind: str) -> None:
    line, secret = LINES[kind]
    before, after = (part.encode() for part in line.split(secret, 1))
    clean, _ = redact(line.encode())
    hits = [hit for hit in find(line.encode()) if hit.start == len(before)]
    assert [hit.end for hit in hits] == [len(before) + len(secret)]
    assert secret.encode() not in clean
    assert clean.endswith(b"]" + after)
    assert clean.startswith(before) or b"[redacted:aws-key]," in clean


@pytest.mark.parametrize(
    "words", ["correct-horse-battery-staple", "release-2024-01-01", "gpt-4o-mini", "v1.v1.v1.v1" * 40]
)
def test_words_are_no_secret(words: str) -> None:
    assert not is_secret(words.encode())


def test_a_secret_is_drawn_from_many_characters() -> None:
    assert is_secret(mixed(16).encode())
    assert not is_secret(b"a1a1a1a1a1a1")
    assert is_secret(drawn(32, "0123456789abcdef").encode())
    assert entropy(b"aaaa") == 0
    assert entropy(b"abcd") == 2
