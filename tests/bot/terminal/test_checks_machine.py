"""Checks of the machine: programs, jail, key files, room on the disk."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

import pytest

from bot.audit.keys import InstanceKey
from bot.settings import Settings
from bot.terminal.checks import Place, Verdict
from bot.terminal.checks_machine import disk, git, keys, sandbox, secret_files, secret_names, version
from runners.workspace.bounds import standing


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(Settings(), None, tmp_path / "data")


def program(folder: Path, name: str, says: str) -> None:
    folder.mkdir(exist_ok=True)
    path = folder / name
    path.write_text(f"#!/bin/sh\necho '{says}'\n")
    path.chmod(0o755)


def test_git_is_found_with_its_version(place):
    (found,) = git(place)
    assert found.verdict is Verdict.OK
    assert found.words == version(["git", "--version"])


def test_a_machine_without_git_is_told_what_to_install(place, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    (found,) = git(place)
    assert (found.verdict, found.fix) == (Verdict.FAIL, "apt install git")


def test_a_git_that_is_too_old_fails(place, monkeypatch, tmp_path):
    program(tmp_path / "bin", "git", "git version 2.20.1")
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    (found,) = git(place)
    assert found.verdict is Verdict.FAIL
    assert "2.20.1" in found.words
    assert "2.31" in found.why


def test_a_jail_is_really_started(place):
    if shutil.which("bwrap") is None or shutil.which("socat") is None:
        pytest.skip("bubblewrap and socat are not installed")
    found, *limits = sandbox(place)
    assert found.verdict is Verdict.OK or found.why, "a jail that does not start says why"
    if found.verdict is Verdict.OK:
        cost = re.search(r"start-up (\d+) ms", found.words)
        assert cost is not None
        assert 0 < int(cost[1]) < 10_000
        (about,) = limits
        held = {each.name for each in standing(place.settings.sandbox) if each.by}
        assert (about.verdict is Verdict.OK) == ("memory of the jail" in held)
        assert "memory of the jail: 8192 MB" in about.words


def test_programs_of_the_jail_that_are_missing_are_named_with_their_packages(place, monkeypatch, tmp_path):
    program(tmp_path / "bin", "bwrap", "")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    (found,) = sandbox(place)
    assert found.verdict is Verdict.FAIL
    assert found.words == "not installed: socat, setpriv, prlimit"
    assert found.fix == "apt install socat util-linux"


def test_keys_that_others_may_read_fail_with_the_command_that_mends_it(place):
    path = place.data / "keys" / "instance.key"
    path.parent.mkdir(parents=True)
    InstanceKey.load_or_create(path)
    assert [each.verdict for each in keys(place)] == [Verdict.OK]
    path.chmod(0o644)
    (found,) = keys(place)
    assert found.verdict is Verdict.FAIL
    assert f"chmod 600 {path}" in found.fix


def test_a_file_of_a_secret_that_others_may_read_is_a_warning(place, tmp_path):
    config = tmp_path / "gatewright.toml"
    config.write_text('[github]\ntoken_file = "token"\n')
    token = tmp_path / "token"
    token.write_text("t")
    token.chmod(0o640)
    found = [each for each in keys(Place(place.settings, config, place.data)) if each.verdict is Verdict.WARN]
    assert [each.fix for each in found] == [f"chmod 600 {token}"]


def test_the_settings_file_is_a_secret_where_it_holds_one(tmp_path):
    config = tmp_path / "gatewright.toml"
    config.write_text('[server]\nport = 1\n[providers.claude]\napi_key = "k"\n')
    assert list(secret_files(config)) == [config]
    config.write_text("[server]\nport = 1\n")
    assert list(secret_files(config)) == []


def test_every_secret_of_the_settings_is_known():
    assert {"token", "private_key", "webhook_secrets", "api_key", "auth_token"} <= set(secret_names(Settings))


def test_room_is_measured_where_state_will_lie(place):
    (found,) = disk(place)
    assert str(place.data) in found.words
    assert not place.data.exists(), "a check changes nothing"


def test_a_program_that_says_no_version_has_none(tmp_path):
    program(tmp_path / "bin", "odd", "no number")
    assert version([str(tmp_path / "bin" / "odd")]) == ""
    assert version([str(tmp_path / "bin" / "absent")]) == ""
