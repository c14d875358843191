from __future__ import annotations

import re

import pytest

from bot.audit.redact import redact
from bot.audit.redact_form import START, is_drawn, span_of
from tests.bot.audit.samples import HARMLESS, LINES, TOKENS


@pytest.mark.parametrize("text", HARMLESS)
def test_what_is_no_secret_passes_unchanged(text: str) -> None:
    for around in ("{}", "  {}\n", '"{}"', "+{}\n+next: line\n"):
        data = around.replace("{}", text).encode()
        assert redact(data) == (data, 0)


def test_the_table_is_large_enough_to_mean_something() -> None:
    assert len(TOKENS) + len(LINES) >= 60
    assert len(set(HARMLESS)) >= 80


@pytest.mark.parametrize(
    ("before", "begins"), [("", 1), (" ", 1), ("\\n", 1), ("\\u0022", 1), ("%22", 1), ("=", 1), ("n", 0), ("_", 0)]
)
def test_a_word_begins_where_none_goes_on(before: str, begins: int) -> None:
    assert len(re.findall(START + b"key", before.encode() + b"key")) == begins


def test_a_value_is_cut_out_of_its_match() -> None:
    match = re.match(b"a(?P<value>b)c", b"abc")
    assert match is not None
    assert span_of(match) == (1, 2)
    whole = re.match(b"abc", b"abc")
    assert whole is not None
    assert span_of(whole) == (0, 3)


def test_a_stand_in_is_not_drawn() -> None:
    assert is_drawn(b"q7Z1m0Xp")
    assert not any(
        is_drawn(each) for each in (b"xxxxxxxxxxxx", b"your-token", b"AKIAIOSFODNN7EXAMPLE", b"00000000001", b"abab")
    )
