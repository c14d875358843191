"""Which models this machine has at hand without any settings: keys in the environment, an Ollama that answers."""

from __future__ import annotations

import importlib.util
import json
import os
from collections.abc import Mapping
from typing import Final

import httpx
import msgspec

OLLAMA: Final = "http://127.0.0.1:11434"
OLLAMA_NAME: Final = "ollama-here"  # an endpoint of ours; `ollama:` is the native provider's


class Offer(msgspec.Struct, frozen=True):
    """A model string that would work, what it rests on, and the settings it needs."""

    model: str
    because: str
    overrides: Mapping[str, str]


def offers() -> tuple[Offer, ...]:
    """List what is at hand, best first."""
    return tuple(offer for offer in (_claude(), _openai(), _ollama()) if offer is not None)


def _claude() -> Offer | None:
    for name, key in {"ANTHROPIC_API_KEY": "API_KEY", "CLAUDE_CODE_OAUTH_TOKEN": "AUTH_TOKEN"}.items():
        value = os.environ.get(name, "")
        if value and importlib.util.find_spec("claude_agent_sdk"):
            return Offer("sonnet", f"{name} is set", {f"GATEWRIGHT_PROVIDERS__CLAUDE__{key}": json.dumps(value)})
    return None


def _openai() -> Offer | None:
    value = os.environ.get("OPENAI_API_KEY", "")
    if value and importlib.util.find_spec("openai"):
        settings = {"GATEWRIGHT_PROVIDERS__OPENAI__API_KEY": json.dumps(value)}
        return Offer("openai:gpt-5.5", "OPENAI_API_KEY is set", settings)
    return None


def _ollama() -> Offer | None:
    if not importlib.util.find_spec("openai"):
        return None
    try:
        listed = httpx.get(f"{OLLAMA}/api/tags", timeout=0.3, trust_env=False).json().get("models", [])
    except (httpx.HTTPError, ValueError, AttributeError):
        return None  # nothing listens there, which is the usual case
    names = [str(each["name"]) for each in listed if isinstance(each, dict) and each.get("name")]
    if not names:
        return None
    prefix = f"GATEWRIGHT_ENDPOINTS__{OLLAMA_NAME.upper()}__"
    settings = {f"{prefix}BASE_URL": json.dumps(f"{OLLAMA}/v1"), f"{prefix}API_KEY": '"none"'}
    return Offer(f"{OLLAMA_NAME}:{names[0]}", f"an Ollama answers at {OLLAMA}", settings)
