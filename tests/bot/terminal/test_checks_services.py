"""Checks of what Gatewright talks to, against real servers on loopback."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import redis as client

from bot.model.policy import Policy
from bot.network import CA_NAMES, DIRECT_NAMES, PROXY_NAMES
from bot.settings import GitHub, GitLab, Network, Redis, Server, Settings
from bot.settings_file import load
from bot.terminal.checks import Place, Verdict
from bot.terminal.checks_services import github, gitlab, models, network, redis
from tests.simulators.github import GitHubSimulator
from tests.simulators.gitlab import GitLabSimulator

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


@pytest.fixture
def forge(test_data: Path) -> Iterator[GitLabSimulator]:
    with GitLabSimulator(root="/forge") as simulated:
        yield simulated
        assert simulated.contract_faults(test_data) == []


def test_gitlab_says_who_we_are(tmp_path, forge):
    _, token = forge.access_token(forge.project())
    (found,) = gitlab(place(tmp_path, gitlab=forge.table(token=token.value, webhook_tokens=("t",))))
    assert found.verdict is Verdict.OK
    assert f"{forge.url} 18.9.1 as project_" in found.words


def test_a_project_and_a_self_test_are_looked_at_where_they_are_named(tmp_path, forge):
    project = forge.project()
    mira = forge.user("mira", project, "developer")
    mira.opens_issue("Retry the payment client")
    _, token = forge.access_token(project, "maintainer")
    forge.hook("https://gw.bank.example/webhooks/gitlab", project=project)
    settings = Settings(
        gitlab=forge.table(token=token.value, webhook_tokens=("t",)),
        server=Server(public_url="https://gw.bank.example"),
    )
    found = list(gitlab(Place(settings, None, tmp_path, self_test=f"{project.full_path}#1")))
    assert {each.verdict for each in found} == {Verdict.OK}
    said = "\n".join(each.words for each in found)
    for words in ("Maintainer", "leads to https://gw.bank.example", "takes a bare /approve", "help arrives whole"):
        assert words in said
    assert mira.project.issues[1].notes == []
    assert len(list(gitlab(Place(settings, None, tmp_path)))) == 1  # only where asked


def test_a_weak_role_fails_and_what_could_not_be_seen_warns(tmp_path, forge):
    project = forge.project()
    _, token = forge.access_token(project, "reporter")
    table = forge.table(token=token.value, webhook_tokens=("t",))
    _, role, *unseen = gitlab(Place(Settings(gitlab=table), None, tmp_path, project=project.full_path))
    assert role.verdict is Verdict.FAIL
    assert "Developer" in role.fix
    assert [each.words for each in unseen] == ["webhooks were not checked", "CI variables were not checked"]
    assert {each.verdict for each in unseen} == {Verdict.WARN}


def test_what_goes_around_the_gates_is_warned_of(tmp_path, forge):
    project = forge.project()
    _, token = forge.access_token(project, "maintainer")
    forge.do(lambda: project.variables.update(DEPLOY_KEY=False))
    settings = Settings(
        gitlab=forge.table(token=token.value, webhook_tokens=("t",)), policy=Policy(target_branch="enforced")
    )
    found = list(gitlab(Place(settings, None, tmp_path, project=project.full_path)))
    held, variables = (next(f for f in found if words in f.words) for words in ("held to the gate", "CI variable(s)"))
    assert held.words == "merges into main are not held to the gate"
    assert "any developer can set a commit status" in held.why
    assert {held.verdict, variables.verdict} == {Verdict.WARN}
    advisory = Settings(gitlab=settings.gitlab, policy=Policy(ci="hold"))
    words = [each.words for each in gitlab(Place(advisory, None, tmp_path, project=project.full_path))]
    assert not any("held to the gate" in each or "CI variable" in each for each in words)


def test_gitlab_that_is_away_fails_with_what_to_check(tmp_path):
    table = GitLab(url="http://127.0.0.1:1", token="t", webhook_tokens=("t",))
    (found,) = gitlab(place(tmp_path, gitlab=table))
    assert found.verdict is Verdict.FAIL
    assert "[network] proxy" in found.fix


def test_gitlab_without_a_webhook_secret_is_not_asked(tmp_path):
    (found,) = gitlab(place(tmp_path, gitlab=GitLab(url="http://127.0.0.1:1", token="t")))
    assert "GW-WEB-NO-SECRET" in found.words


def test_no_gitlab_is_a_fault_only_where_one_is_to_be_looked_at(tmp_path):
    (found,) = gitlab(place(tmp_path))
    assert found.verdict is Verdict.OK
    (found,) = gitlab(Place(Settings(), None, tmp_path, project="a/b"))
    assert "GW-DOCTOR-SELF-TEST" in found.words


@pytest.fixture
def own_environment(monkeypatch) -> None:
    """Put back afterwards what the checks set for this process."""
    for name in (*CA_NAMES, *PROXY_NAMES, *DIRECT_NAMES):
        monkeypatch.setenv(name, "")


@pytest.mark.usefixtures("own_environment")
def test_the_network_of_the_settings_holds_for_the_checks_that_follow(tmp_path):
    table = GitLab(url="http://gitlab.bank.test", token="t", webhook_tokens=("t",))
    here = place(tmp_path, gitlab=table, network=Network(proxy="http://127.0.0.1:1"))
    (said,) = network(here)
    assert said.words == "proxy of [network] in force"
    (found,) = gitlab(here)
    assert "ProxyError" in found.why


@pytest.mark.usefixtures("own_environment")
def test_an_unusable_network_fails_with_its_reason_and_none_says_nothing(tmp_path):
    (found,) = network(place(tmp_path, network=Network(ca_file=str(tmp_path / "none.pem"))))
    assert found.verdict is Verdict.FAIL
    assert "GW-NETWORK-CA" in found.words
    assert list(network(place(tmp_path))) == []


def test_every_model_and_provider_of_the_settings_is_looked_at_once(tmp_path, monkeypatch):
    for name in NO_MODEL_HERE:
        monkeypatch.delenv(name, raising=False)
    config = tmp_path / "gatewright.toml"
    config.write_text(
        '[profile]\nplanning = "opus"\ncoding = "gemini-3-pro"\n[providers.claude]\nbase_url = "http://127.0.0.1:9"\n'
        'api_key = "k"\n[providers.azure]\nbase_url = "http://127.0.0.1:9"\n'
    )
    config.chmod(0o600)
    found = list(models(Place(load(config), config, tmp_path)))
    subjects = list(dict.fromkeys(each.words.split(": ")[0] for each in found))
    assert subjects == ["sonnet", "opus", "gemini-3-pro", "providers.azure"]
    last = {each.words.split(": ")[0]: each for each in found}
    assert "GW-MODEL-AWAY" in last["opus"].words
    assert "GW-MODEL-KEY-MISSING" in last["gemini-3-pro"].words or "GW-MODEL-RUNTIME" in last["gemini-3-pro"].words
    assert "providers.azure.api_key" in last["providers.azure"].fix


def test_a_key_in_the_environment_is_what_run_would_take(tmp_path, monkeypatch):
    monkeypatch.setenv("ANTHROPIC_API_KEY", "k")
    (found,) = models(place(tmp_path))
    assert found.verdict is Verdict.OK
    assert "ANTHROPIC_API_KEY" in found.words
