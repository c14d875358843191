"""What a call costs."""

from __future__ import annotations

import pytest

from bot.settings import Price
from runners.gateway.anthropic import Anthropic
from runners.gateway.dialect import Tokens
from runners.gateway.ledger import cost
from runners.gateway.openai import OpenAI

MIXED = Tokens(fresh=1_000_000, cache_write=100_000, cache_read=10_000, out=1_000)


@pytest.mark.parametrize(
    ("price", "micro_usd"),
    [
        (Price(input=3.0, output=15.0), 3_000_000 + 375_000 + 3_000 + 15_000),
        (Price(input=3.0, output=15.0, cache_read=1.0, cache_write=2.0), 3_000_000 + 200_000 + 10_000 + 15_000),
        (Price(), 0),
    ],
)
def test_a_million_tokens_cost_the_price_in_dollars(price: Price, micro_usd: int) -> None:
    assert cost(MIXED, Anthropic().price(price)) == micro_usd


def test_a_cache_of_unknown_price_is_charged_in_full_where_discounts_differ() -> None:
    assert cost(MIXED, OpenAI().price(Price(input=2.0, output=8.0))) == 2_220_000 + 8_000


def test_what_used_nothing_costs_nothing_even_at_an_unknown_price() -> None:
    assert cost(Tokens(), None) == 0
    assert cost(Tokens(fresh=1), None) is None
