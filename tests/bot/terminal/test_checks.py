"""Reading back what our own verbs say."""

from __future__ import annotations

from pathlib import Path

import pytest

from bot.settings import Settings
from bot.terminal.checks import Place, ask, documented, understood


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(Settings(), None, tmp_path)


def test_a_verb_that_works_gives_its_words(place):
    said, error = ask(place, ["models", "resolve", "sonnet"])
    assert said.startswith("sonnet -> ")
    assert error is None


def test_a_verb_that_fails_gives_code_reason_and_remedy(place):
    _, error = ask(place, ["models", "resolve", "sonet"])
    assert error is not None
    assert (error.code, error.what) == ("GW-MODEL-FORM", "no provider goes by the model string `sonet`")
    assert error.why.startswith("the forms are: ")
    assert error.fix == "Did you mean `sonnet`?"


def test_a_verb_that_fails_in_a_document_says_as_much(place, tmp_path):
    _, error = ask(place, ["sandbox", "run", "--json", "--dir", str(tmp_path / "absent"), "--", "true"])
    assert error is not None
    assert (error.code, error.fix) == ("GW-SANDBOX-DIR", "name an existing one with --dir")
    assert documented("") is documented('{"start_ms": 7}') is None


def test_the_settings_of_the_check_are_those_of_the_verb(tmp_path):
    config = tmp_path / "gatewright.toml"
    config.write_text('[endpoints.vllm]\nbase_url = "http://127.0.0.1:8000/v1"\n')
    said, error = ask(Place(Settings(), config, tmp_path), ["models", "resolve", "vllm:qwen"])
    assert error is None
    assert "`vllm`" in said


def test_an_error_without_a_reason_is_read_as_well():
    error = understood("error[GW-X-Y]: no command is given\n  fix: give one\n", 2)
    assert (error.code, error.why, error.fix) == ("GW-X-Y", "", "give one")


def test_anything_else_is_a_crash_of_the_check_with_its_last_words():
    assert understood("Traceback ...\nKeyError: 'x'\n", 1).why == "KeyError: 'x'"
    assert understood("", -9).why == "exit code -9"
