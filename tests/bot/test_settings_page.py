"""Settings as people and editors read them."""

from __future__ import annotations

import json

import jsonschema
import msgspec
import pytest

from bot.model.policy import Delegation, GateRule, Policy
from bot.settings import GitHub, Price, ProviderTable, Settings
from bot.settings_page import MASK, page, schema_text, show, spelled

HELD = Settings(
    github=GitHub(token="ghp_token", webhook_secrets=("hook",)),
    providers={"claude": ProviderTable(api_key="sk-key", prices={"sonnet": Price(input=3.0)})},
)


@pytest.mark.parametrize("as_json", [True, False])
def test_what_is_in_force_is_shown_without_any_secret(capsys, as_json):
    assert show(HELD, as_json=as_json) == 0
    said = capsys.readouterr().out
    assert not any(secret in said for secret in ("ghp_token", 'hook"', "sk-key"))
    assert MASK in said


def test_programs_read_the_same_settings(capsys):
    show(HELD, as_json=True)
    about = json.loads(capsys.readouterr().out)
    assert about["schema"] == "gatewright/config/v1"
    assert about["settings"]["github"]["token"] == MASK
    assert about["settings"]["github"]["private_key"] == "", "what is not set is not masked"


def test_what_is_shown_can_be_read_back_as_toml(capsys):
    import tomllib

    show(Settings())
    assert tomllib.loads(capsys.readouterr().out)["server"]["port"] == 8080


def test_tables_within_tables_can_be_read_back_as_toml(capsys):
    import tomllib

    policy = Policy(
        verb_roles={"ci": "maintain"}, spec=GateRule(approvers=("user:1",), quorum=2),
        delegations=(Delegation(1, 2, "2026-12-01", "2026-12-14"),),
    )  # fmt: skip
    show(Settings(policy=policy))
    assert msgspec.convert(tomllib.loads(capsys.readouterr().out)["policy"], Policy) == policy


def test_the_page_describes_every_table_within_a_table():
    said = page()
    for title in ("policy.spec", "policy.change", "policy.emergency", "providers.<name>.prices.<name>"):
        assert f"\n### `[{title}]`\n" in said
    change = said.partition("### `[policy.change]`")[2].partition("###")[0]
    assert '| `not_by` | `["committer"]` | Four eyes' in change, "its own default, not that of its class"
    assert "`labeller`, `author`" in change, "the words that a list may hold"
    assert "| `change` | a table, below | Who lets one gate pass. |" in said
    away = said.partition("### `[[policy.delegations]]`")[2].partition("##")[0]
    assert "| `person` | required | Numeric id of who is away |" in away
    assert "| `verb_roles` | `{}` | Stronger roles for single commands: `write`, `maintain`, `admin` |" in said


@pytest.mark.parametrize(
    ("value", "toml"),
    [
        ({}, "{}"),
        ({"a": 1, "b.c": [True, "x"]}, '{ a = 1, "b.c" = [true, "x"] }'),
        (({"a": 1}, {"a": 2}), "[{ a = 1 }, { a = 2 }]"),
        ('a"b\n', '"a\\"b\\n"'),
    ],
)
def test_values_are_spelled_as_toml_does(value, toml):
    assert spelled(value) == toml


def test_the_page_gives_defaults_choices_and_ranges_in_words():
    assert '| `mode` | `"bwrap"` | How agents are confined: `bwrap`, `none-i-accept-the-risk` |' in page()
    assert '| `spec` | `"sonnet"` | Model string of the phase `spec` |' in page()


def test_editors_know_every_secret_by_its_file_as_well():
    schema = json.loads(schema_text())
    checker = jsonschema.Draft202012Validator(schema)
    assert checker.is_valid({"github": {"token_file": "t"}, "endpoints": {"vllm": {"api_key_file": "k"}}})
    assert not checker.is_valid({"github": {"api_url_file": "t"}}), "only secrets come from files"
    assert not checker.is_valid({"server": {"port": 70_000}})
