from __future__ import annotations

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.audit.redact import redact

# Put together at run time, so that no scanner takes this file for a leak.
LETTERS = "aB3dE6gH9jK2mN5pQ8sT1vW4yZ7bC0eF3hJ6"
SECRETS = {
    "github classic": "ghp_" + LETTERS,
    "github app": "ghs_" + LETTERS,
    "github fine-grained": "github_pat_" + LETTERS + "_" + LETTERS,
    "gitlab personal": "glpat-" + LETTERS[:20],
    "gitlab job": "glcbt-64_" + LETTERS[:20],
    "anthropic": "sk-ant-api03-" + LETTERS + "-" + LETTERS,
    "openai": "sk-proj-" + LETTERS,
    "aws": "AKIA" + "ABCDEFGH234567XY",
    "slack": "xoxb-" + "1234567890-" + LETTERS,
    "google": "AIza" + (LETTERS + LETTERS)[:35],
    "jwt": "eyJ" + LETTERS + ".eyJ" + LETTERS + "." + LETTERS,
    "webhook": "whsec_" + LETTERS,
}
PEM = (
    "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\n"
    + (LETTERS + "+/\n") * 8
    + "-----END RSA PRIVATE KEY-----"
)


@pytest.mark.parametrize("secret", SECRETS.values(), ids=SECRETS)
@pytest.mark.parametrize(
    "around", ["{}", "token={}", '"{}"', "see {}, please", "({})", "\n{}\n", "x\n\t{}", "https://u:{}@example.org/"]
)
def test_known_forms_are_cut_out_of_text_and_json(secret, around):
    text = around.format(secret)
    for data in (text.encode(), json.dumps({"text": text}).encode()):
        clean, count = redact(data)

        assert secret.encode() not in clean
        assert LETTERS[:16].encode() not in clean
        assert count >= 1


@pytest.mark.parametrize("escape", [str, lambda text: json.dumps(text)[1:-1]])
def test_a_private_key_goes_as_a_whole(escape):
    clean, count = redact(escape(f"before {PEM} after").encode())

    assert clean == b"before [redacted:private-key] after"
    assert count == 1


def test_a_private_key_that_was_cut_off_goes_as_far_as_it_goes():
    clean, _ = redact(PEM[:200].encode())

    assert clean == b"[redacted:private-key]"


@pytest.mark.parametrize(
    "line",
    [
        "Authorization: Bearer abcdefgh12345678",
        "authorization: basic eDpzZWNyZXQ=",
        '"Authorization": "token abcdefgh1234"',
        r"\"authorization\": \"Bearer abcdefgh12345678\"",
        "PRIVATE-TOKEN: abcdefgh12345678",
        "x-api-key: abcdefgh12345678",
        "curl -H 'Bearer abcdefgh1234567890abcdefgh'",
        "https://bot:hunter2hunter2@example.org/x.git",
    ],
)
def test_values_of_headers_and_urls_go_and_their_names_stay(line):
    clean, count = redact(line.encode())

    assert count == 1
    assert b"[redacted:" in clean
    assert not any(word in clean for word in (b"abcdefgh", b"eDpzZWNyZXQ", b"hunter2"))


@pytest.mark.parametrize(
    "text",
    [
        "the task-runner asks a risk-averse disk-scheduler-with-a-long-name",
        "sk-learn-compatible-estimators-with-names",
        "the bearer of bad news",
        "commit 3f2a9c1e5b7d3f2a9c1e5b7d3f2a9c1e5b7d3f2a",
        "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----",
        "https://example.org:8080/a@b",
        "ghp_ is how such a token begins",
    ],
)
def test_ordinary_text_passes_unchanged(text):
    assert redact(text.encode()) == (text.encode(), 0)


@given(st.binary(max_size=400))
def test_cutting_twice_changes_nothing_more(data):
    once, _ = redact(data)

    assert redact(once)[0] == once


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=6, max_size=40), st.text(max_size=30))
def test_given_secrets_go_in_plain_and_in_json(secret, other):
    for spelling in (secret, json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1]):
        clean, count = redact(f"<{spelling}>".encode(), [secret])
        assert clean == b"<[redacted:secret]>"
        assert count == 1
    assert redact(other.encode("utf-8", "replace"), [""])[1] == redact(other.encode("utf-8", "replace"))[1]


def test_a_given_secret_that_is_part_of_another_leaves_no_rest():
    assert redact(b"hunter2-long", [b"hunter2", "hunter2-long"]) == (b"[redacted:secret]", 1)


@pytest.mark.parametrize(
    "hostile",
    [
        b"eyJ" * 200_000, b"sk-" * 200_000, b"-----BEGIN PRIVATE KEY-----" * 20_000,
        b"-----BEGIN RSA PRIVATE KEY-----\n" + b"A" * 600_000, b"https://" * 80_000, b"bearer " * 90_000,
        b"authorization: bearer " * 30_000, b"ghp_" * 150_000, b"a" * 600_000,
    ],
)  # fmt: skip
def test_hostile_text_costs_no_more_than_its_length(hostile):
    start = time.process_time()

    redact(hostile)

    assert time.process_time() - start < 8
