"""The command line as programs and people meet it: exit codes, errors in words, errors as JSON."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from bot import __version__

Ended = subprocess.CompletedProcess[str]


def gatewright(*words: str, env: Mapping[str, str] | None = None) -> Ended:
    """Call it as a person does."""
    import os

    argv = [sys.executable, "-P", "-m", "bot", *words]
    own = {name: value for name, value in os.environ.items() if not name.startswith("GATEWRIGHT_")}
    return subprocess.run(argv, capture_output=True, text=True, check=False, timeout=60, env={**own, **(env or {})})


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    path = tmp_path / "gatewright.toml"
    path.write_text('[trigger]\nlable = "x"\n')
    return path


def test_it_says_its_version():
    assert gatewright("--version").stdout == f"gatewright {__version__}\n"


def test_without_words_it_says_what_there_is():
    ended = gatewright()
    assert "demo" in ended.stdout + ended.stderr


def test_an_unknown_verb_is_a_matter_of_usage():
    assert gatewright("dmeo").returncode == 2


def test_an_error_says_what_and_how_to_mend_it_without_a_traceback(broken):
    ended = gatewright("config", "check", "--config", str(broken))
    assert ended.returncode == 2
    assert ended.stdout == ""
    assert ended.stderr.startswith("error[GW-SETTINGS-UNKNOWN]: there is no setting 'trigger.lable'")
    assert "  fix: did you mean 'trigger.label'?" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_program_gets_the_same_error_as_json(broken):
    ended = gatewright("config", "show", "--json", "--config", str(broken))
    error = json.loads(ended.stdout)["error"]
    assert ended.returncode == 2
    assert error["code"] == "GW-SETTINGS-UNKNOWN"
    assert "trigger.label" in error["fix"]


def test_settings_that_are_usable_end_with_0(tmp_path):
    good = tmp_path / "gatewright.toml"
    good.write_text("[server]\nport = 0\n")
    assert gatewright("config", "check", "--config", str(good)).returncode == 0


def test_the_environment_names_the_settings_file(broken):
    assert gatewright("config", "check", env={"GATEWRIGHT_CONFIG": str(broken)}).returncode == 2


def test_the_schema_is_printed_for_editors():
    assert json.loads(gatewright("config", "schema").stdout)["$schema"].startswith("https://json-schema.org/")


def test_a_model_string_is_explained():
    assert gatewright("models", "resolve", "opus").stdout.startswith("opus -> Claude Agent SDK")


def test_a_profile_is_explained_phase_by_phase_to_programs_too(tmp_path):
    (tmp_path / "mine.json").write_text('{"phaseModels": {"coding": "haiku"}}')
    ended = gatewright("models", "resolve", "--profile", str(tmp_path / "mine.json"), "--json")
    found = {each["phase"]: each["model"] for each in json.loads(ended.stdout)["models"]}
    assert found == {"spec": "sonnet", "planning": "opus", "coding": "haiku", "qa": "sonnet", "qa_fixer": "sonnet"}


def test_settings_whose_profiles_policy_forbids_are_not_usable(tmp_path):
    odd = tmp_path / "gatewright.toml"
    odd.write_text('[policy]\nallowed_models = ["sonnet"]\n')
    ended = gatewright("config", "check", "--config", str(odd))
    assert ended.returncode == 2
    assert "error[GW-MODEL-POLICY]" in ended.stderr
    assert "profile.planning: policy does not allow the model opus" in ended.stderr


def test_a_model_string_that_cannot_run_here_fails_only_when_checked():
    assert gatewright("models", "resolve", "gemini-3-pro").returncode == 0
    checked = gatewright("models", "resolve", "gemini-3-pro", "--check")
    assert checked.returncode in (1, 2), "what is missing is a program or a setting"
    assert checked.stderr.startswith("error[GW-MODEL-")


def test_the_jail_is_asked_for_a_command():
    ended = gatewright("sandbox", "run", "--dir", "/")
    assert ended.returncode == 2
    assert "GW-SANDBOX-COMMAND" in ended.stderr


def test_evidence_that_is_not_there_has_its_own_exit_code(tmp_path):
    assert gatewright("audit", "verify", str(tmp_path)).returncode == 4
