"""Checks of what Gatewright talks to, against real servers on loopback."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import redis as client

from bot.settings import GitHub, ProfileTable, ProviderTable, Redis, Settings
from bot.terminal.checks import Place, Verdict
from bot.terminal.checks_services import github, models, redis
from tests.simulators.github import GitHubSimulator

NO_MODEL_HERE = ("ANTHROPIC_API_KEY", "CLAUDE_CODE_OAUTH_TOKEN", "OPENAI_API_KEY")


def place(folder: Path, **tables) -> Place:
    return Place(Settings(**tables), None, folder)


def test_the_embedded_server_is_named_with_its_version(tmp_path):
    (found,) = redis(place(tmp_path))
    assert found.verdict is Verdict.OK
    assert any(letter.isdigit() for letter in found.words)


def test_a_redis_that_keeps_what_it_is_told_is_well(tmp_path, redis_url):
    (found,) = redis(place(tmp_path, redis=Redis(url=redis_url)))
    assert found.verdict is Verdict.OK
    assert found.words.endswith("durable")


@pytest.mark.parametrize(("accepted", "verdict"), [(False, Verdict.FAIL), (True, Verdict.WARN)])
def test_a_redis_that_keeps_nothing_fails_unless_that_is_wanted(tmp_path, redis_url, accepted, verdict):
    with client.Redis.from_url(redis_url) as server:
        server.config_set("appendonly", "no")
        try:
            (found,) = redis(place(tmp_path, redis=Redis(url=redis_url, allow_volatile=accepted)))
        finally:
            server.config_set("appendonly", "yes")
    assert found.verdict is verdict
    assert "nothing on disk" in found.why


def test_a_redis_that_is_away_fails_with_what_was_tried(tmp_path):
    (found,) = redis(place(tmp_path, redis=Redis(url=f"unix://{tmp_path}/none.sock")))
    assert found.verdict is Verdict.FAIL
    assert "none.sock" in found.why


@pytest.fixture
def simulator(test_data: Path) -> Iterator[GitHubSimulator]:
    with GitHubSimulator() as simulated:
        yield simulated
        assert simulated.contract_faults(test_data) == []


def test_github_says_who_we_are(tmp_path, simulator):
    simulator.install(simulator.repository())
    (found,) = github(place(tmp_path, github=simulator.table(secrets=("s" * 32,))))
    assert found.verdict is Verdict.OK
    assert "[bot], with App" in found.words


def test_an_app_that_nobody_installed_fails_with_what_to_do(tmp_path, simulator):
    (found,) = github(place(tmp_path, github=simulator.table(secrets=("s" * 32,))))
    assert found.verdict is Verdict.FAIL
    assert "Install App" in found.fix


def test_github_without_a_webhook_secret_is_not_asked(tmp_path):
    (found,) = github(place(tmp_path, github=GitHub(token="t", api_url="http://127.0.0.1:1")))
    assert "GW-WEB-NO-SECRET" in found.words


def test_no_github_is_no_fault(tmp_path):
    (found,) = github(place(tmp_path))
    assert found.verdict is Verdict.OK


def test_models_are_checked_once_each_with_the_phases_they_serve(tmp_path, monkeypatch):
    for name in NO_MODEL_HERE:
        monkeypatch.delenv(name, raising=False)
    profile = ProfileTable(planning="opus", coding="gemini-3-pro")
    known = {"claude": ProviderTable(api_key="k")}
    found = list(models(place(tmp_path, profile=profile, providers=known)))
    assert [each.words.split(":")[0] for each in found] == ["spec, qa, qa_fixer", "planning", "coding"]
    assert "GW-MODEL-PROVIDER-MISSING" in found[2].words


def test_a_key_in_the_environment_is_what_run_would_take(tmp_path, monkeypatch):
    monkeypatch.setenv("ANTHROPIC_API_KEY", "k")
    (found,) = models(place(tmp_path))
    assert found.verdict is Verdict.OK
    assert "ANTHROPIC_API_KEY" in found.words
