"""The hidden marker."""

from __future__ import annotations

import pytest

from bot.reports.marker import marker


def test_it_names_task_kind_and_rev():
    assert marker("42-k7f3qd", "gate.spec", 2) == "<!-- gatewright:1 task=42-k7f3qd kind=gate.spec rev=2 -->"
    assert marker("42-k7f3qd", "reply", "42:9912#1").endswith("rev=42:9912#1 -->")


@pytest.mark.parametrize("part", ["", "a b", "a-->", "a--b", "<x", "x" * 81, "a\n"])
def test_nothing_in_it_can_end_it(part):
    with pytest.raises(ValueError, match="marker"):
        marker("42-k7f3qd", "reply", part)
