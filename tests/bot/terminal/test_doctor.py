"""`gatewright doctor`, run whole: what it prints, what it advises, how it ends."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from bot.settings_file import load
from bot.terminal.checks import Finding, Verdict, fine
from bot.terminal.doctor import doctor, findings, lines, tail
from tests.conftest import ROOT
from tests.simulators.gitlab import GitLabSimulator
from tests.simulators.models.server import REAL_KEY

WELL = """
[server]
data_dir = "{data}"
[profile]
planning = "sonnet"
[providers.claude]
base_url = "{url}"
api_key_file = "claude.key"
[sandbox]
mode = "none-i-accept-the-risk"
"""


@pytest.fixture
def api(tmp_path: Path) -> Iterator[str]:
    """A model's API that lists one model."""
    script = tmp_path / "script.json"
    script.write_text("[]")
    argv = ["-m", "tests.simulators.models", "--script", str(script), "--model", "claude-sonnet-4-5"]
    with subprocess.Popen([sys.executable, *argv], stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        assert process.stdout
        yield process.stdout.readline().strip()
        process.terminate()


@pytest.fixture
def config(tmp_path: Path, api: str) -> Path:
    """Settings of a machine on which nothing is wrong but that it has no sandbox."""
    key = tmp_path / "claude.key"
    key.write_text(REAL_KEY)
    key.chmod(0o600)
    path = tmp_path / "gatewright.toml"
    path.write_text(WELL.format(data=tmp_path / "data", url=api))
    return path


def test_a_machine_that_is_well_ends_with_0(config, capsys):
    assert doctor(config, as_json=False) == 0
    said = capsys.readouterr().out
    assert "  ok    models      sonnet: claude-agent-sdk 0." in said
    assert "  ok    models      sonnet: Claude Agent SDK answers, and knows sonnet" in said
    assert "  ok    redis       embedded: " in said
    assert "0 failed" in said


def test_running_without_a_sandbox_is_said_with_how_to_mend_it(config):
    found = next(each for each in findings(config) if each.subject == "sandbox")
    assert found.verdict is Verdict.WARN
    assert "bwrap" in found.fix


def test_programs_get_one_document(config, capsys):
    assert doctor(config, as_json=True) == 0
    about = json.loads(capsys.readouterr().out)
    assert (about["schema"], about["ok"]) == ("gatewright/doctor/v1", True)
    assert {each["subject"] for each in about["checks"]} == {
        "settings", "redis", "git", "sandbox", "keys", "github", "gitlab", "models", "disk",
    }  # fmt: skip


def test_the_command_line_looks_at_a_project_and_tests_commands_on_its_issue(machine):
    with GitLabSimulator() as gitlab:
        project = gitlab.project()
        gitlab.user("mira", project, "developer").opens_issue("Retry")
        table = {"url": gitlab.url, "token": gitlab.access_token(project)[1].value, "webhook_tokens": ["t"]}
        machine.settings(gitlab=table, sandbox={"mode": "none-i-accept-the-risk"})
        ended = machine.run("doctor", "--json", "--project", project.full_path, "--self-test", f"{project.full_path}#1")
    said = [each["words"] for each in json.loads(ended.out)["checks"] if each["subject"] == "gitlab"]
    assert said[1] == "pay/core/api: Developer"
    assert any("takes a bare /approve for itself" in words for words in said)
    assert "CI variables were not checked" in said


def test_the_way_out_of_the_settings_holds_for_all_that_is_asked(machine):
    table = {"url": "http://gitlab.bank.test", "token": "t", "webhook_tokens": ["t"]}
    machine.settings(gitlab=table, network={"proxy": "http://127.0.0.1:1"}, sandbox={"mode": "none-i-accept-the-risk"})
    checks = json.loads(machine.run("doctor", "--json").out)["checks"]
    found = {each["subject"]: each for each in checks}
    assert found["network"]["words"] == "proxy of [network] in force"
    assert "ProxyError" in found["gitlab"]["why"]


def test_unusable_settings_end_the_check_and_name_the_key(tmp_path, capsys):
    path = tmp_path / "gatewright.toml"
    path.write_text('[sandbox]\nmod = "bwrap"\n')
    assert doctor(path, as_json=False) == 1
    said = capsys.readouterr().out
    assert "there is no setting 'sandbox.mod'" in said
    assert "did you mean 'sandbox.mode'?" in said
    assert "redis" not in said


def test_the_settings_file_may_be_named_by_the_environment(config, monkeypatch, capsys):
    monkeypatch.setenv("GATEWRIGHT_CONFIG", str(config))
    assert doctor(None, as_json=False) == 0
    assert str(config) in capsys.readouterr().out


def test_one_failure_makes_the_end_a_failure(config, tmp_path, capsys):
    (tmp_path / "claude.key").write_text("")
    assert load(config).providers["claude"].api_key == ""
    assert doctor(config, as_json=False) == 1
    assert "GW-MODEL-KEY-MISSING" in capsys.readouterr().out


def test_what_to_do_stands_below_what_is_wrong():
    finding = Finding(Verdict.FAIL, "git", "too old", "2.31 is needed", "install\nanother")
    assert lines(finding) == (
        "  FAIL  git         too old\n        why   2.31 is needed\n        fix   install\n              another\n"
    )


def test_the_last_line_counts():
    assert "1 checks passed, 0 warned, 1 failed." in tail([fine("a", "b"), Finding(Verdict.FAIL, "c", "d")])
