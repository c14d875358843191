"""Where calls go, and what is said when the settings do not tell."""

from __future__ import annotations

import pytest

from bot.model.errors import UsageError
from bot.model.routing import resolve
from bot.settings import ProviderTable, Settings
from runners.providers.upstreams import asked_for, upstream

SETTINGS = Settings(
    providers={
        "claude": ProviderTable(api_key="k"),
        "codex": ProviderTable(api_key="k"),
        "gemini": ProviderTable(api_key="k"),
        "openai": ProviderTable(auth_token="bearer"),
        "copilot": ProviderTable(base_url="http://models.example/v1", api_key="k"),
        "azure": ProviderTable(base_url="https://r.openai.azure.com", auth_token="entra"),
        "bedrock": ProviderTable(region="eu-west-1", access_key="AKID", api_key="secret", session_token="s"),
    },
    endpoints={"vllm": ProviderTable(base_url="http://127.0.0.1:8000/v1"), "bare": ProviderTable()},
)


def found(text, settings=SETTINGS):
    return upstream(resolve(text, settings.endpoints), settings)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("opus", ("anthropic", "https://api.anthropic.com", "k", "", "claude")),
        ("gpt-5.5", ("openai", "https://api.openai.com/v1", "k", "", "codex")),
        ("gemini-2.5-flash", ("gemini", "https://generativelanguage.googleapis.com", "k", "", "gemini")),
        ("copilot:any", ("openai", "http://models.example/v1", "k", "", "copilot")),
        ("opencode:vllm/qwen3:14b", ("openai", "http://127.0.0.1:8000/v1", "", "", "vllm")),
        ("opencode:openai/gpt-5", ("openai", "https://api.openai.com/v1", "", "bearer", "openai")),
        ("openai:x", ("openai", "https://api.openai.com/v1", "", "bearer", "openai")),
        ("azure:d", ("azure", "https://r.openai.azure.com", "", "entra", "azure")),
        ("ollama:qwen3:14b", ("ollama", "http://127.0.0.1:11434", "", "", "ollama")),
        ("vllm:x", ("openai", "http://127.0.0.1:8000/v1", "", "", "vllm")),
    ],
)
def test_the_gateway_is_told_dialect_place_and_key(text, expected):
    to = found(text)
    assert (to.dialect, to.base_url, to.api_key, to.auth_token, to.provider) == expected
    assert "bearer" not in repr(to)


def test_bedrock_is_reached_in_its_region_with_all_parts_of_the_key():
    to = found("bedrock:anthropic.claude-x")
    assert to.base_url == "https://bedrock-runtime.eu-west-1.amazonaws.com"
    assert (to.access_key, to.api_key, to.session_token, to.region) == ("AKID", "secret", "s", "eu-west-1")


def test_an_address_of_its_own_sends_all_of_opencode_there():
    settings = Settings(providers={"opencode": ProviderTable(base_url="http://h/v1", api_key="k")})
    to = found("opencode:anything/model", settings)
    assert (to.base_url, to.api_key, to.provider) == ("http://h/v1", "k", "opencode")


def test_on_the_wire_opencodes_model_stands_without_its_provider():
    assert asked_for(resolve("opencode:vllm/org/model", SETTINGS.endpoints)) == "org/model"
    assert asked_for(resolve("vllm:org/model", SETTINGS.endpoints)) == "org/model"


@pytest.mark.parametrize(
    ("text", "settings", "code", "fix"),
    [
        ("sonnet", Settings(), "GW-MODEL-KEY-MISSING", "GATEWRIGHT_PROVIDERS__CLAUDE__API_KEY"),
        ("gpt-5.5", Settings(), "GW-MODEL-KEY-MISSING", "providers.codex.api_key"),
        ("copilot:m", Settings(), "GW-MODEL-ENDPOINT-URL", "providers.copilot.base_url"),
        ("azure:m", Settings(), "GW-MODEL-ENDPOINT-URL", "openai.azure.com"),
        ("bedrock:m", Settings(), "GW-MODEL-REGION", "providers.bedrock.region"),
        ("bare:m", SETTINGS, "GW-MODEL-ENDPOINT-URL", "endpoints.bare.base_url"),
        ("opencode:nowhere/m", SETTINGS, "GW-MODEL-NO-UPSTREAM", "endpoints add nowhere"),
        ("scripted:x", SETTINGS, "GW-MODEL-NO-UPSTREAM", "gatewright models resolve"),
    ],
)
def test_what_is_unset_is_named_with_what_to_do(text, settings, code, fix):
    with pytest.raises(UsageError) as raised:
        found(text, settings)
    assert raised.value.code == code
    assert fix in raised.value.fix
