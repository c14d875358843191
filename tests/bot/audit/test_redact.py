from __future__ import annotations

import json
import re
import time
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.audit.redact import find, redact, redacted, redacted_data
from tests.bot.audit.samples import HARMLESS, LINES, TOKENS

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


PIECES = st.sampled_from(
    [
        *TOKENS.values(),
        *(line for line, _ in LINES.values()),
        *HARMLESS,
        " ",
        "\n",
        "=",
        ":",
        '"',
        "[redacted:",
        "]",
        "secret",
    ]
)


@given(st.lists(PIECES | st.text(max_size=5), max_size=6).map("".join))
def test_cutting_twice_changes_nothing_more_whatever_meets(text):
    once, count = redact(text.encode())

    assert redact(once) == (once, 0)
    assert redact(text.encode(), ["secret", "]", "redacted:"])[0].count(b"[redacted:") >= min(count, 1)


@given(st.lists(PIECES | st.text(max_size=5), max_size=6).map("".join))
def test_bytes_between_hits_stay_as_they_are(text):
    data = text.encode()
    hits = find(data)

    assert all(one.end <= other.start for one, other in pairwise(hits))
    assert all(hit.start < hit.end for hit in hits)
    ends = [0, *(at for hit in hits for at in hit[:2]), len(data)]
    once = b"[redacted:x]".join(data[one:other] for one, other in list(pairwise(ends))[::2])
    marks = re.compile(rb"\[redacted:[a-z-]+\]")
    if not find(once):  # what was cut off may begin another one
        assert marks.sub(b"", redact(data)[0]) == marks.sub(b"", once)


def test_a_given_secret_that_is_a_word_of_a_mark_leaves_marks_alone():
    once, count = redact(b"a secret, and password", ["secret", "]"])

    assert (once, count) == (b"a [redacted:secret], and password", 1)
    assert redact(once, ["secret", "redacted", "]"]) == (once, 0)


def test_texts_and_tables_are_redacted_in_place():
    token = TOKENS["github classic"]

    assert redacted(f"a {token}\udc80") == "a [redacted:github-token]\udc80"
    assert redacted_data({"a": [token, 1, None], token: {"b": ("x", token)}}) == {
        "a": ["[redacted:github-token]", 1, None], token: {"b": ("x", "[redacted:github-token]")},
    }  # fmt: skip


MIB = 1 << 20
HOSTILE = [
    b"eyJ",
    b"eyJaaaaaaaaa.",
    b"sk-",
    b"-----BEGIN PRIVATE KEY-----",
    b"-----BEGIN RSA PRIVATE KEY-----\nAAAA\n",
    b"https://",
    b"://a:",
    b"bearer ",
    b"authorization: bearer ",
    b"ghp_",
    b"ghs_",
    b"a",
    b"A1b2",
    b"token=",
    b"token = 'a1",
    b"_pass: ",
    b"secret_",
    b'api_key:"',
    b"AKIA",
    b"Q~",
    b"AZDO",
    b"SG.",
    b"password=v1.",
    b"xoxe.xoxp-",
    b"[redacted:",
    b"?sig=a",
    b"ATATT3",
    b" ",
    b"\\n",
    b"Private-Lines: 9\n",
    b"=token",
    b"key>aaaaaaaa<",
]


@pytest.mark.parametrize("piece", HOSTILE)
def test_hostile_text_of_5_mib_costs_no_more_than_its_length(piece):
    def cost(size: int) -> float:
        text = (piece * (size // len(piece) + 1))[:size]
        start = time.process_time()
        redact(text)
        return time.process_time() - start

    small, large = cost(5 * MIB // 8), cost(5 * MIB)

    assert large < 12
    assert large < 8 * 3 * max(small, 0.02)  # eight times the text, and no square of it
