"""Numbers and times for people."""

from __future__ import annotations

import pytest

from bot.reports.figures import anchor, count, duration, link, tokens, usd, when
from bot.reports.neutral import Markdown


@pytest.mark.parametrize(
    ("micro", "shown"),
    [
        (0, "0.00"),
        (140_000, "0.14"),
        (4_999, "&lt;0.01"),
        (5_000, "0.01"),
        (1_234_567_890, "1,234.57"),
        (None, "\N{EN DASH}"),
    ],
)
def test_money_has_two_decimals_and_an_unknown_price_a_dash(micro, shown):
    assert usd(micro) == shown


@pytest.mark.parametrize(
    ("ms", "shown"),
    [(-5, "0 s"), (59_999, "59 s"), (60_000, "1 min"), (3_600_000, "1 h 0 min"), (5_430_000, "1 h 30 min")],
)
def test_spans_are_minutes(ms, shown):
    assert duration(ms) == shown


def test_times_are_utc_and_say_so():
    assert when(1_795_528_800_000) == "24 Nov 2026, 14:00 UTC"


def test_counts_agree_with_their_nouns():
    assert count(1, "criterion", "criteria") == "1 criterion"
    assert count(0, "step") == "0 steps"
    assert [tokens(n) for n in (0, 999, 31_400)] == ["0", "999", "31 k"]


@pytest.mark.parametrize(
    "url", ["", "javascript:alert(1)", "data:text/html,x", "//evil.example", "ftp://x", "not a url"]
)
def test_only_web_addresses_become_links(url):
    assert link(Markdown("here"), url) == "here"
    assert anchor("here", url) == "here"


def test_an_address_cannot_leave_its_link():
    url = 'https://e.example/a)"> <b>[x](y)\n'
    assert link(Markdown("w"), url) == "[w](https://e.example/a%29%22%3E%20%3Cb%3E%5Bx%5D%28y%29%0A)"
    assert '"><b>' not in anchor("w", url)
