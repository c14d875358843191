from __future__ import annotations

import json

import pytest

from bot.audit.redact import find, redact
from bot.audit.redact_tokens import TOKENS
from tests.bot.audit.samples import TOKENS as SAMPLES

AROUND = (
    "{}", "token={}", '"{}"', "see {}, please", "({})", "x\n{}\ny", "x\n\t{}", "https://u:{}@example.org/", "a%22{}",
    "<{}>", "`{}`", "--flag={}",
)  # fmt: skip


@pytest.mark.parametrize("kind", SAMPLES)
def test_a_token_is_cut_out_wherever_it_stands_and_nothing_around_it(kind: str) -> None:
    secret = SAMPLES[kind]
    for around in AROUND:
        before, after = around.split("{}")
        clean, count = redact((before + secret + after).encode())
        assert count == 1, around
        assert clean.startswith(before.encode() + b"[redacted:"), around
        assert clean.endswith(b"]" + after.encode()), around
        assert clean.count(b"[redacted:") == 1, around
        text = json.dumps({"text": before + secret + after})
        assert json.loads(redact(text.encode())[0])["text"] == clean.decode()


@pytest.mark.parametrize("kind", SAMPLES)
def test_a_token_in_the_middle_of_a_word_is_none(kind: str) -> None:
    if SAMPLES[kind].startswith("-----"):
        pytest.skip("a key has lines of its own")
    assert not [hit for hit in find(b"word" + SAMPLES[kind].encode()) if hit.start < 4]


def test_every_form_has_a_sample() -> None:
    kinds = {hit.kind for secret in SAMPLES.values() for hit in find(secret.encode())}
    assert {form.kind for form in TOKENS} - kinds == {"aws-secret", "slack-webhook", "discord-webhook"}  # test_values
