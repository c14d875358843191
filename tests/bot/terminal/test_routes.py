"""Where models lead, as people and programs are told, and which profiles nobody could work with."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bot.model.errors import GatewrightError, Refused, UsageError
from bot.settings import Settings
from bot.terminal.models import Machine
from bot.terminal.routes import check_settings, resolve

TEXT = """
[profile]
spec = "gpu:q"
planning = "gpu:q"
coding = "bedrock:a"
qa = "gpu:q"
qa_fixer = "gpu:q"
[profiles.far]
coding = "sonnet"
[providers.claude]
residency = "us"
[providers.bedrock]
residency = "eu"
[endpoints.gpu]
base_url = "http://127.0.0.1:9/v1"
residency = "eu"
[policy]
residency = ["eu"]
fallbacks = { "bedrock:a" = ["gpu:q", "sonnet"] }
"""


def machine(lacks: str = "") -> Machine:
    """The runners' half, which knows every model but one."""

    def known(model: str, _settings: Settings, *, check: bool) -> str:
        if model == lacks:
            raise GatewrightError("GW-MODEL-KEY-MISSING", "there is no key", fix="Set it.")
        return model if check else ""

    return Machine(known, lambda _: None)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """Settings of somebody who keeps to one place, save for one profile."""
    path = tmp_path / "gatewright.toml"
    path.write_text(f"[server]\ndata_dir = '{tmp_path}'\n{TEXT}")
    return path


def told(
    config: Path, capsys: pytest.CaptureFixture[str], model: str, profile: str = "", *, as_json: bool = False
) -> str:
    assert resolve(model, profile, config, check=False, as_json=as_json, machine=machine()) == 0
    return capsys.readouterr().out


def test_a_string_is_one_line_with_place_and_stand_ins(config, capsys):
    assert told(config, capsys, "bedrock:a") == (
        "a -> Claude on Amazon Bedrock (matched bedrock:; enterprise-certified), worked on in eu; stand-ins: gpu:q\n"
    )


def test_what_policy_refuses_is_said_with_what_would_do(config, capsys):
    said = told(config, capsys, "sonnet")
    assert "refused [GW-MODEL-RESIDENCY]" in said
    assert "these would do: gpu:q, bedrock:a" in said


def test_a_profile_is_told_phase_by_phase(config, capsys):
    lines = told(config, capsys, "", "far").splitlines()
    assert [line.split()[0] for line in lines] == ["spec", "planning", "coding", "refused", "qa", "qa_fixer"]


def test_a_file_is_read_like_a_profile_of_the_settings(config, capsys, tmp_path):
    (tmp_path / "mine.json").write_text('{"phaseModels": {"coding": "gpu:mine"}}')
    assert "mine -> OpenAI-compatible endpoint `gpu`" in told(config, capsys, "", str(tmp_path / "mine.json"))


def test_programs_get_every_reason(config, capsys):
    document = json.loads(told(config, capsys, "", "far", as_json=True))
    assert (document["schema"], document["profile"]) == ("gatewright/models/v1", "far")
    coding = next(each for each in document["models"] if each["phase"] == "coding")
    assert (coding["model"], coding["provider"], coding["tier"], coding["residency"], coding["rule"]) == (
        "sonnet", "claude", "enterprise-certified", "us", "sonnet",
    )  # fmt: skip
    assert (coding["is_allowed"], coding["code"]) == (False, "GW-MODEL-RESIDENCY")
    assert all(each["is_allowed"] for each in document["models"] if each["phase"] != "coding")


@pytest.mark.parametrize(("model", "profile"), [("", ""), ("sonnet", "far")])
def test_one_thing_is_asked_about(config, model, profile):
    with pytest.raises(UsageError, match="say what to resolve"):
        resolve(model, profile, config, check=False, as_json=False, machine=machine())


def test_a_check_fails_for_what_policy_refuses_or_the_machine_lacks(config):
    with pytest.raises(Refused) as caught:
        resolve("", "far", config, check=True, as_json=False, machine=machine())
    assert caught.value.code == "GW-MODEL-RESIDENCY"
    with pytest.raises(GatewrightError) as lacking:
        resolve("gpu:q", "", config, check=True, as_json=False, machine=machine(lacks="gpu:q"))
    assert lacking.value.code == "GW-MODEL-KEY-MISSING"


def test_settings_are_checked_with_the_profiles_in_them(config, capsys):
    with pytest.raises(UsageError) as caught:
        check_settings(config)
    assert caught.value.code == "GW-MODEL-RESIDENCY"
    assert caught.value.why.startswith("profiles.far.coding: ")
    assert "\n" not in caught.value.why
    config.write_text(config.read_text().replace('"sonnet"', '"gpu:q"'))
    assert check_settings(config) == 0
    assert capsys.readouterr().out == "The settings are usable.\n"
