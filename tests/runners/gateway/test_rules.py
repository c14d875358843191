"""Which models an alias stands for, and that tokens are compared as they are."""

from __future__ import annotations

import pytest

from runners.gateway.anthropic import Anthropic
from runners.gateway.errors import Denied
from runners.gateway.openai import OpenAI
from runners.gateway.rules import admit, allows

DIALECTS = (Anthropic(), OpenAI())


@pytest.mark.parametrize(
    ("routed", "asked", "allowed"),
    [
        ("claude-sonnet-4-5", "claude-sonnet-4-5", True),
        ("claude-sonnet-4-5", "claude-sonnet-4-5-20250929", False),
        ("claude-sonnet-4-5", "sonnet", False),
        ("sonnet", "sonnet", True),
        ("sonnet", "claude-sonnet-5-5", True),
        ("sonnet", "claude-3-7-sonnet-20250219", True),
        ("sonnet", "claude-opus-5-5", False),
        ("sonnet", "claude-sonnet-4-5\n", False),
        ("sonnet", "claude-sonnet-4-5/../claude-opus-4-5", False),
        ("sonnet", "gpt-sonnet", False),
        ("opus", "claude-3-opus-20240229", True),
        ("haiku", "claude-haiku-4-5", True),
        ("qwen3:14b", "qwen3:14b", True),
        ("qwen3:14b", "qwen3:32b", False),
        ("", "claude-opus-4-5", False),
    ],
)
def test_only_the_routed_model_or_the_family_of_an_alias_is_allowed(routed: str, asked: str, allowed: bool) -> None:
    assert allows(routed, asked) is allowed


@pytest.mark.parametrize(
    "headers", [{"x-api-key": "tökén"}, {"authorization": "Basic token"}, {"authorization": "token"}]
)
def test_another_token_is_denied_whatever_it_is_made_of(headers: dict[str, str]) -> None:
    with pytest.raises(Denied) as caught:
        admit("POST", "/v1/messages", headers, token="token", dialects=DIALECTS)
    assert caught.value.status == 401


@pytest.mark.parametrize(
    "headers", [{"x-api-key": "token"}, {"authorization": "Bearer token"}, {"authorization": "bearer token"}]
)
def test_the_token_comes_as_key_or_as_bearer(headers: dict[str, str]) -> None:
    admitted = admit("POST", "/v1/chat/completions", headers, token="token", dialects=DIALECTS)
    assert admitted.dialect.name == "openai"
