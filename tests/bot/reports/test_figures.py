"""Numbers and times for people."""

from __future__ import annotations

import pytest

from bot.model.task import Usage
from bot.reports.figures import anchor, cost, count, duration, link, price, spending, tokens, usd, when
from bot.reports.neutral import Markdown
from bot.reports.views import Caps


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
    assert [tokens(n) for n in (999_499, 999_500, 1_250_000, 20_000_000)] == ["999 k", "1 M", "1.2 M", "20 M"]


def test_what_has_no_price_is_not_free():
    free, unknown = Usage(1, 10, 5, 0), Usage(1, 310_000, 2_000, None)
    assert (price(free), cost(free)) == ("0.00 USD", "0.00 USD")
    assert (price(unknown), cost(unknown)) == ("price not set", "312 k tokens, price not set")


@pytest.mark.parametrize(
    ("used", "caps", "shown"),
    [
        (Usage(4, 310_000, 2_000, 1_200_000), Caps(), "312 k tokens, 1.20 USD"),
        (
            Usage(4, 310_000, 2_000, 1_200_000), Caps(20_000_000, None, 5_000_000),
            "312 k of 20 M tokens, 1.20 of 5.00 USD",
        ),
        (Usage(4, 310_000, 2_000, 0), Caps(calls=9), "312 k tokens, 4 of 9 calls, 0.00 USD"),
        (Usage(4, 310_000, 2_000, None), Caps(), "312 k tokens, price not set"),
        (Usage(4, 310_000, 2_000, None), Caps(micro_usd=5_000_000), "312 k tokens, price not set (limit 5.00 USD)"),
    ],
)  # fmt: skip
def test_what_was_used_stands_beside_its_limit(used, caps, shown):
    assert spending(used, caps) == shown


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
