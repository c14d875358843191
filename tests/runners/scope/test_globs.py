from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.model.policy import PROTECTED
from runners.scope.globs import any_matches, matches

PATHS = st.lists(st.text("ab.", min_size=1, max_size=3), min_size=1, max_size=5).map("/".join)


@pytest.mark.parametrize(
    ("pattern", "path"),
    [
        ("a.py", "a.py"),
        ("src/*.py", "src/a.py"),
        (".github/**", ".github/workflows/deep/x.yml"),
        (".github/**", ".GitHub/Workflows/x.yml"),
        ("**/CODEOWNERS", "CODEOWNERS"),
        ("**/CODEOWNERS", "docs/codeowners"),
        ("a/**/z", "a/z"),
        ("a/**/z", "a/b/c/z"),
        ("**", "any/thing"),
        ("/a.py", "a.py"),
        ("src/", "src"),
        ("[ab].py", "b.py"),
        ("**/Stra\u00dfe", "x/STRASSE"),
    ],
)
def test_fits(pattern: str, path: str) -> None:
    assert matches(pattern, path)


@pytest.mark.parametrize(
    ("pattern", "path"),
    [
        ("a.py", "b/a.py"),
        ("src/*.py", "src/deep/a.py"),
        (".github/**", "x/.github/a"),
        (".github/**", ".github-pages/a"),
        ("**/CODEOWNERS", "CODEOWNERS.md"),
        ("a/**/z", "a/zz"),
        ("*", "a/b"),
        ("a?b", "a/b"),
    ],
)
def test_does_not_fit(pattern: str, path: str) -> None:
    assert not matches(pattern, path)


@given(PATHS)
def test_every_path_fits_itself_and_all_folders_above_it(path: str) -> None:
    assert matches(path, path)
    assert matches("**/" + path, path)
    assert matches(path.partition("/")[0] + "/**", path)


def test_a_hostile_pattern_costs_no_time() -> None:
    begun = time.monotonic()
    assert not matches("/".join(["**", "*a*a*a*a*b"] * 12), "/".join(["a" * 60] * 15))
    assert time.monotonic() - begun < 2


def test_the_pattern_is_named() -> None:
    assert any_matches(PROTECTED, "web/package-lock.json") == "**/package-lock.json"
    assert any_matches(PROTECTED, "web/package.json") == ""
