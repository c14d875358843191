"""What `doctor` and `models check` say of every provider, against servers that answer, refuse and hang up."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from bot.settings import ProviderTable, Settings, Worker
from runners.checkup import Look, check, looks
from runners.providers.installed import PROGRAMS, TRIED
from tests.conftest import ROOT
from tests.simulators.models import ModelServer, Script
from tests.simulators.models.ollama import MODEL as OLLAMA
from tests.simulators.models.server import REAL_KEY

MODELS = {
    "claude": "claude-sonnet-4-5", "bedrock": "bedrock:anthropic.claude-x", "openai": "openai:toy",
    "azure": "azure:deployed", "ollama": f"ollama:{OLLAMA}", "codex": "gpt-5.5", "gemini": "gemini-2.5-flash",
    "copilot": "copilot:toy", "opencode": "opencode:here/toy",
}  # fmt: skip


@pytest.fixture
def tools(tmp_path: Path) -> Path:
    """Runtimes as npm lays them out, in the versions that were tried: nothing here starts them."""
    modules = tmp_path / "tools" / "node_modules"
    for package, program, version in (
        ("@google/gemini-cli", "bundle/gemini.js", "0.61.0"), ("@github/copilot-linux-x64", "copilot", "1.0.102"),
        ("opencode-linux-x64", "bin/opencode", "1.18.33"), ("@vscode/ripgrep-linux-x64", "bin/rg", "1.18.0"),
    ):  # fmt: skip
        path = modules / package / program
        path.parent.mkdir(parents=True)
        path.write_text("")
        (modules / package / "package.json").write_text(json.dumps({"version": version}))
    return tmp_path / "tools"


def settings(url: str, tools: Path, key: str = REAL_KEY) -> Settings:
    plain = ProviderTable(base_url=url, api_key=key)
    slashed = ProviderTable(base_url=f"{url}/v1", api_key=key)
    return Settings(
        worker=Worker(tools_dir=str(tools)),
        providers={
            "claude": plain, "bedrock": ProviderTable(base_url=url, api_key=key, region="eu-west-1"),
            "openai": slashed, "codex": slashed, "copilot": slashed, "azure": plain, "gemini": plain,
            "ollama": plain,
        },
        endpoints={"here": slashed},
    )  # fmt: skip


@pytest.mark.parametrize("provider", MODELS)
async def test_a_provider_that_is_ready_says_program_key_and_model(provider: str, tools: Path) -> None:
    async with ModelServer(Script()) as server:
        server.models = ("toy", "claude-sonnet-4-5", "gpt-5.5", "gemini-2.5-flash")
        found = await in_thread(MODELS[provider], settings(server.url, tools))
    assert {look.verdict for look in found} == {"ok"}, found
    assert any("key are set" in look.words for look in found)
    assert "answers" in found[-1].words


@pytest.mark.parametrize("provider", [name for name in MODELS if name not in ("azure", "bedrock", "ollama")])
async def test_a_model_that_the_api_does_not_list_is_named_with_those_it_does(provider: str, tools: Path) -> None:
    async with ModelServer(Script()) as server:
        server.models = ("other-1", "other-2")
        last = (await in_thread(MODELS[provider], settings(server.url, tools)))[-1]
    assert last.verdict == "FAIL"
    assert "does not list the model" in last.words
    assert "other-1" in last.fix


@pytest.mark.parametrize("provider", [name for name in MODELS if name not in ("bedrock", "ollama")])
async def test_a_key_that_is_refused_is_said_without_the_key(provider: str, tools: Path) -> None:
    async with ModelServer(Script()) as server:
        last = (await in_thread(MODELS[provider], settings(server.url, tools, key="sk-wrong-0123456789")))[-1]
    assert last.verdict == "FAIL"
    assert "GW-MODEL-AUTH" in last.words
    assert "sk-wrong" not in str(last)


@pytest.mark.parametrize("provider", MODELS)
def test_an_address_where_nobody_answers_is_named(provider: str, tools: Path) -> None:
    *_, last = looks(MODELS[provider], settings("http://127.0.0.1:9", tools))
    assert last.verdict == "FAIL"
    assert "127.0.0.1:9" in last.words
    assert "[network]" in last.fix


@pytest.mark.parametrize("provider", ["gemini", "copilot", "opencode"])
def test_a_runtime_that_is_not_installed_says_how_to_get_it(provider: str, tmp_path: Path) -> None:
    [only] = looks(MODELS[provider], settings("http://127.0.0.1:9", tmp_path / "nothing"))
    assert only.verdict == "FAIL"
    assert "make tools" in only.fix


def test_another_version_than_the_one_that_was_tried_is_a_warning(tools: Path) -> None:
    manifest = tools / "node_modules" / "opencode-linux-x64" / "package.json"
    manifest.write_text('{"version": "2.0.0"}')
    first, *_ = looks(MODELS["opencode"], settings("http://127.0.0.1:9", tools))
    assert (first.verdict, first.why) == ("warn", "this Gatewright was tried with 1.18.33")


def test_the_versions_that_were_tried_are_those_that_make_tools_installs() -> None:
    wanted = json.loads((ROOT / "deploy" / "tools" / "package.json").read_text())["dependencies"]
    for name, program in PROGRAMS.items():
        package = next(each for each in wanted if program.startswith(f"node_modules/{each}/"))
        assert TRIED[name] == wanted[package]


@pytest.mark.parametrize("provider", ["claude", "codex", "gemini", "openai", "azure", "bedrock", "copilot"])
def test_what_is_not_set_is_named_by_its_key(provider: str, tools: Path) -> None:
    bare = Settings(worker=Worker(tools_dir=str(tools)))
    *_, last = looks(MODELS[provider], bare)
    assert last.verdict == "FAIL"
    assert f"providers.{provider}." in last.fix


def test_the_command_prints_every_look_and_fails_where_one_does(tools: Path, capsys: Any) -> None:
    assert check(["nonsense"], Settings()) == 1
    assert "FAIL  nonsense: no provider goes by the model string" in capsys.readouterr().out
    assert check(["openai:toy"], settings("http://127.0.0.1:9", tools), as_json=True) == 1
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["verdict"] for line in lines] == ["ok", "ok", "FAIL"]


async def in_thread(model: str, table: Settings) -> list[Look]:
    """Look while the server of the same loop answers."""
    return await asyncio.to_thread(lambda: list(looks(model, table)))
