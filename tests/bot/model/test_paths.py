"""Which paths a plan may name."""

from __future__ import annotations

import pytest

from bot.model.paths import unsafe


@pytest.mark.parametrize("path", ["a.py", "src/pay/a b.py", ".github/workflows/ci.yml", ".gitignore", "ä/ö.md", "a..b"])
def test_plain_paths_are_safe(path):
    assert unsafe(path) is None


@pytest.mark.parametrize(
    "path",
    [
        "",
        " a",
        "/a",
        "~/a",
        "C:/a",
        "a\\b",
        "../a",
        "a/../b",
        "a/./b",
        "a//b",
        "a/",
        ".",
        "a\nb",
        "a\x00b",
        "a\u2028b",
        ".git/config",
        "sub/.Git/config",
        ".git./config",
        "GIT~1/config",
        ".gatewright/tasks/1/spec.md",
        ".Gatewright/Tasks/x",
        "*.py",
        "a,b",
        "a`b",
        "x" * 301,
    ],
)
def test_paths_that_lead_elsewhere_are_named_with_the_reason(path):
    assert unsafe(path)
