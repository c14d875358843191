"""The hidden marker."""

from __future__ import annotations

import re

import msgspec
import pytest

from bot.model.event import ForgeKind, Repo
from bot.reports.marker import Place, marker

KEY = bytes(range(32))
PLACE = Place.of("gw", Repo(ForgeKind.GITHUB, "github.com", 7, "pay/core"), 42)


def test_it_names_task_kind_and_rev():
    made = marker(KEY, PLACE, "42-k7f3qd", "gate.spec", 2)
    assert re.fullmatch(r"<!-- gatewright:1 task=42-k7f3qd kind=gate\.spec rev=2 mac=[0-9a-f]{16} -->", made)
    assert made == marker(KEY, PLACE, "42-k7f3qd", "gate.spec", 2)
    assert "rev=42:9912#1 mac=" in marker(KEY, PLACE, "42-k7f3qd", "reply", "42:9912#1")


@pytest.mark.parametrize(
    "elsewhere", [{"instance": "other"}, {"forge": "gitlab"}, {"host": "ghe.example"}, {"repo": 8}, {"issue": 43}]
)
def test_it_counts_in_one_place_only(elsewhere):
    there = msgspec.structs.replace(PLACE, **elsewhere)
    assert marker(KEY, there, "42-k7f3qd", "gate.spec", 2) != marker(KEY, PLACE, "42-k7f3qd", "gate.spec", 2)


def test_nobody_makes_one_without_the_key():
    assert marker(bytes(32), PLACE, "42-k7f3qd", "gate.spec", 2) != marker(KEY, PLACE, "42-k7f3qd", "gate.spec", 2)


def test_parts_cannot_be_shifted_into_each_other():
    one, two = marker(KEY, PLACE, "42", "a.b", "1"), marker(KEY, PLACE, "42", "a", "b.1")
    assert one[-20:] != two[-20:]


@pytest.mark.parametrize("part", ["", "a b", "a-->", "a--b", "<x", "x" * 81, "a\n"])
def test_nothing_in_it_can_end_it(part):
    with pytest.raises(ValueError, match="marker"):
        marker(KEY, PLACE, "42-k7f3qd", "reply", part)
