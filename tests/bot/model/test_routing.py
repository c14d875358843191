"""Model strings: the whole table, and what is said about everything else."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bot.model.errors import UsageError
from bot.model.routing import LABELS, Tier, explain, resolve

ENDPOINTS = {"vllm", "groq"}
COMMUNITY, ENTERPRISE = Tier.COMMUNITY, Tier.ENTERPRISE


@pytest.mark.parametrize(
    ("text", "provider", "model", "endpoint", "tier"),
    [
        ("ollama:qwen3:14b", "ollama", "qwen3:14b", "", COMMUNITY),
        ("copilot:gpt-5", "copilot", "gpt-5", "", COMMUNITY),
        ("opencode:anthropic/claude-sonnet-4", "opencode", "anthropic/claude-sonnet-4", "", COMMUNITY),
        ("openai:gpt-5", "openai", "gpt-5", "", COMMUNITY),
        ("azure:my-deployment", "azure", "my-deployment", "", ENTERPRISE),
        ("bedrock:anthropic.claude-v4:0", "bedrock", "anthropic.claude-v4:0", "", ENTERPRISE),
        ("vllm:Qwen/Qwen3-Coder", "endpoint", "Qwen/Qwen3-Coder", "vllm", COMMUNITY),
        ("groq:claude-like:free", "endpoint", "claude-like:free", "groq", COMMUNITY),
        ("sonnet", "claude", "sonnet", "", ENTERPRISE),
        ("opus", "claude", "opus", "", ENTERPRISE),
        ("haiku", "claude", "haiku", "", ENTERPRISE),
        ("claude-sonnet-4-5", "claude", "claude-sonnet-4-5", "", ENTERPRISE),
        ("gpt-5", "codex", "gpt-5", "", ENTERPRISE),
        ("gpt-5-codex", "codex", "gpt-5-codex", "", ENTERPRISE),
        ("my-codex-1", "codex", "my-codex-1", "", ENTERPRISE),
        ("gemini-3-pro", "gemini", "gemini-3-pro", "", COMMUNITY),
        ("o1", "openai", "o1", "", COMMUNITY),
        ("o3-mini", "openai", "o3-mini", "", COMMUNITY),
        ("o4", "openai", "o4", "", COMMUNITY),
        ("claude-codex", "claude", "claude-codex", "", ENTERPRISE),
        ("gemini-codex", "codex", "gemini-codex", "", ENTERPRISE),
        ("scripted:demo", "scripted", "demo", "", COMMUNITY),
    ],
)
def test_the_first_form_that_matches_decides(text, provider, model, endpoint, tier):
    route = resolve(text, ENDPOINTS)
    assert (route.provider, route.model, route.endpoint, route.tier) == (provider, model, endpoint, tier)


def test_a_form_of_its_own_goes_before_an_endpoint_of_that_name():
    assert resolve("openai:x", {"openai"}).provider == "openai"


@pytest.mark.parametrize("text", ["opencode", "opencode:"])
def test_opencode_without_a_model_takes_the_default_or_says_what_to_set(text):
    assert resolve(text, (), "anthropic/sonnet").model == "anthropic/sonnet"
    with pytest.raises(UsageError) as raised:
        resolve(text, ())
    assert "OPENCODE_DEFAULT_MODEL" in raised.value.fix


@pytest.mark.parametrize("text", ["opencode:sonnet", "opencode:/x", "opencode:x/"])
def test_opencode_needs_provider_and_model(text):
    with pytest.raises(UsageError, match="named provider/model"):
        resolve(text, ())


@pytest.mark.parametrize(
    ("text", "fix"),
    [
        ("sonet", "Did you mean `sonnet`?"),
        ("Opus", "Did you mean `opus`?"),
        ("Claude-Sonnet-4", "Did you mean `claude-sonnet-4`?"),
        ("cluade-sonnet-4", "Did you mean `claude-*`?"),
        ("gmini-3", "Did you mean `gemini-*`?"),
        ("o1-mini", "Did you mean `openai:o1-mini`?"),
        ("olama:qwen3", "Did you mean `ollama:qwen3`?"),
        ("vlm:x", "Did you mean `vllm:x`?"),
        ("gpt-oss:20b", "Did you mean `ollama:gpt-oss:20b`?"),
        ("mistral", "Use one of the forms, or register the endpoint."),
        ("", "Use one of the forms, or register the endpoint."),
    ],
)
def test_anything_else_lists_the_forms_and_names_the_nearest(text, fix):
    with pytest.raises(UsageError) as raised:
        resolve(text, ENDPOINTS)
    assert raised.value.code == "GW-MODEL-FORM"
    assert raised.value.fix == fix
    for form in ("ollama:<model>", "<registered endpoint>:<model>", "claude-*", "o4*", "vllm:<model>"):
        assert form in raised.value.why


@pytest.mark.parametrize("text", ["unregistered:codex-1", "unregistered:gpt-codex"])
def test_an_unknown_prefix_never_falls_through_to_another_vendor(text):
    with pytest.raises(UsageError):
        resolve(text, ENDPOINTS)


@pytest.mark.parametrize("text", ["ollama:", "openai:", "vllm:", "azure:"])
def test_a_prefix_needs_a_model(text):
    with pytest.raises(UsageError, match="names no model"):
        resolve(text, ENDPOINTS)


@settings(deadline=None)
@given(st.text(max_size=40))
def test_every_string_has_a_route_or_an_error_with_what_to_do(text):
    try:
        route = resolve(text, ENDPOINTS)
    except UsageError as error:
        told = error.fix
    else:
        told = route.model if route.provider in LABELS else ""
    assert told


def test_a_route_explains_itself():
    assert explain(resolve("sonnet", ())) == "sonnet -> Claude Agent SDK (matched sonnet; enterprise-certified)"
    assert explain(resolve("vllm:m", ENDPOINTS)) == (
        "m -> OpenAI-compatible endpoint `vllm` (matched vllm: (registered endpoint); community)"
    )
