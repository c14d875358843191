"""Every failure has its words, and none of them is left unfilled."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest

from runners.gateway.texts import budget_words, error, failed_words, turns_error
from runners.providers.protocol import Cause
from tests.house.code import ROOT

TEXTS: dict[str, Any] = tomllib.loads((ROOT / "runners/gateway/failures.toml").read_text("utf-8"))
VALUES = {"model": "m", "asked": "n", "seconds": "9", "times": 3, "turns": 7}


@pytest.mark.parametrize("dialect", ["anthropic", "openai", "gemini", "ollama", "azure", "bedrock"])
@pytest.mark.parametrize("key", TEXTS["what"])
def test_every_failure_says_what_and_what_to_do(key: str, dialect: str) -> None:
    for provider in (dialect, "lab"):
        made = error(key, Cause.CRASH, provider, dialect=dialect, values=VALUES)
        assert made.what
        assert made.fix
        assert "{" not in made.what + made.fix


def test_every_cause_that_an_api_can_give_has_words() -> None:
    assert {cause.value for cause in Cause} - {"budget"} <= set(TEXTS["what"])
    assert set(TEXTS["what"]) == {key for key, text in TEXTS["fix"].items() if isinstance(text, str)}


@pytest.mark.parametrize("scope", TEXTS["scope"])
@pytest.mark.parametrize("unit", TEXTS["budget"])
def test_every_budget_says_how_to_go_on(scope: str, unit: str) -> None:
    what, fix = budget_words(scope, unit, limit="9", used="10")
    assert TEXTS["scope"][scope] in what
    assert "{" not in what + fix
    assert "retry" in fix or "Choose" in fix


def test_an_agent_is_told_in_one_line() -> None:
    assert failed_words("the key was refused") == "this run has failed: the key was refused"
    assert turns_error(7).what == "the model was not done after 7 turns"
