"""Profiles as people write them: read exactly, or refused with what would be right."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.model.errors import UsageError
from bot.model.profile import FILE_LIMIT, PHASES, Choice, asked, is_model, laid, phase_models, said, unknown
from bot.model.task import Profile

WHOLE = {"spec": "sonnet", "planning": "opus", "coding": "ollama:qwen3:14b", "qa": "sonnet", "qa_fixer": "sonnet"}


@pytest.mark.parametrize(
    ("words", "choice"),
    [
        ("fast", Choice(name="fast")),
        ("Fast", Choice(name="fast")),
        ("coding=opus", Choice(models={"coding": "opus"})),
        ("coding=opus  qa=haiku", Choice(models={"coding": "opus", "qa": "haiku"})),
        ("coding=opencode:a/b=c", Choice(models={"coding": "opencode:a/b=c"})),
    ],
)
def test_a_command_names_a_profile_or_pairs(words: str, choice: Choice):
    assert said(words) == choice
    assert said(words).is_made


@pytest.mark.parametrize(
    "words",
    ["", "coding", "fast coding=opus", "coding=opus fast", "fast slow", "coding=", "=opus", "baking=opus",
     "coding=opus coding=haiku", f"coding={'x' * 201}", "coding=\u200b", "CODING=opus"],
)  # fmt: skip
def test_everything_else_is_refused_with_the_form(words: str):
    with pytest.raises(UsageError) as caught:
        said(words)
    assert caught.value.code == "GW-MODEL-FORM"
    assert "spec, planning, coding, qa, qa_fixer" in caught.value.fix


@pytest.mark.parametrize(
    ("value", "choice"),
    [
        ("fast", Choice(name="fast")), ("FAST", Choice(name="fast")), ({}, Choice()),
        ({"qa": "opus"}, Choice(models={"qa": "opus"})),
    ],
)  # fmt: skip
def test_a_repository_names_a_profile_or_phases(value: Any, choice: Choice):
    assert asked(value, ".gatewright.toml") == choice


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (3, "neither a name nor a table"), (["fast"], "neither a name nor a table"), ({"baking": "opus"}, "baking"),
        ({"qa": 3}, "qa of [profile]"), ({"qa": ""}, "qa of [profile]"), ({"qa": "a b"}, "qa of [profile]"),
    ],
)  # fmt: skip
def test_what_a_repository_says_wrongly_is_named(value: Any, words: str):
    with pytest.raises(UsageError) as caught:
        asked(value, ".gatewright.toml")
    assert caught.value.code == "GW-PROFILE-FILE"
    assert words in caught.value.what


def test_the_json_form_is_read_whole_or_in_part():
    assert phase_models(json.dumps({"phaseModels": WHOLE}).encode(), "p.json") == WHOLE
    assert phase_models(b'{"phaseModels": {"qa": "haiku"}}', "p.json") == {"qa": "haiku"}


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (b"", "p.json is no profile"), (b"\xff", "utf-8"), (b"[" * 100_000, "at most 65536"),
        (b"[" * 60_000, "p.json is no profile"), (b"x" * (FILE_LIMIT + 1), "at most 65536"),
        (b"[]", "phaseModels"), (b"{}", "phaseModels"), (b'{"phaseModels": []}', "phaseModels"),
        (b'{"phaseModels": {}}', "names no phase"), (b'{"spec": "sonnet"}', "phaseModels"),
        (b'{"phaseModels": {"qa": "a"}, "name": "x"}', "phaseModels"),
        (b'{"phaseModels": {"qa": "a", "qa": "b"}}', "twice"),
        (b'{"phaseModels": {"qaFixer": "a"}}', "spec, planning, coding, qa, qa_fixer"),
        (b'{"phaseModels": {"qa": 1}}', "qa of phaseModels in p.json"),
        (b'{"phaseModels": {"qa": null}}', "qa of phaseModels in p.json"),
    ],
)  # fmt: skip
def test_json_in_any_other_form_is_refused_with_what_is_wrong(raw: bytes, words: str):
    with pytest.raises(UsageError) as caught:
        phase_models(raw, "p.json")
    assert caught.value.code == "GW-PROFILE-FILE"
    assert words in str(caught.value)


@given(st.binary(max_size=200))
def test_no_bytes_end_in_anything_but_an_error_in_words(raw: bytes):
    try:
        found = phase_models(raw, "p.json")
    except UsageError:
        return  # anything else that is raised fails the test
    assert set(found) <= set(PHASES)


def test_models_are_laid_over_a_profile_phase_by_phase():
    assert laid({"coding": "haiku", "qa": ""}, Profile()) == Profile(coding="haiku")


def test_an_unknown_name_says_which_there_are():
    assert unknown("slow", {"fast": 1, "eu": 2}).why == "there are: eu, fast"
    assert "none" in unknown("slow", ()).why
    assert "\u200b" not in unknown("sl\u200bow", ()).what


@pytest.mark.parametrize(
    ("text", "fits"), [("a:b/c", True), ("", False), ("a b", False), ("a\n", False), ("\u00a0", False)]
)
def test_a_model_string_is_one_visible_word(text: str, fits: bool):
    assert is_model(text) is fits
