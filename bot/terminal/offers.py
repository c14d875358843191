"""Which models this machine has at hand without any settings: keys in the environment, an Ollama that answers."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
from collections.abc import Mapping
from typing import Final

import httpx
import msgspec

OLLAMA: Final = "http://127.0.0.1:11434"
KEYS: Final = {"ANTHROPIC_API_KEY": "API_KEY", "CLAUDE_CODE_OAUTH_TOKEN": "AUTH_TOKEN"}
CLAUDE_CLI: Final = "claude"


class Offer(msgspec.Struct, frozen=True):
    """A model string that would work, what it rests on, and the settings it needs.

    `table` is the settings table that these fill; `lacks` says what has to be done first, empty where nothing has.
    """

    model: str
    because: str
    table: tuple[str, str]
    overrides: Mapping[str, str]
    lacks: str = ""


def offers() -> tuple[Offer, ...]:
    """List what is at hand and works as it is, best first."""
    return tuple(offer for offer in _found() if not offer.lacks)


def hints() -> tuple[Offer, ...]:
    """List what would work after one step more."""
    return tuple(offer for offer in _found() if offer.lacks)


def _found() -> list[Offer]:
    return [offer for offer in (_claude(), _openai(), _ollama(), _claude_cli()) if offer is not None]


def _claude() -> Offer | None:
    lacks = _lacks("claude_agent_sdk", "claude")
    for name, key in KEYS.items():
        if value := os.environ.get(name, ""):
            settings = {f"GATEWRIGHT_PROVIDERS__CLAUDE__{key}": json.dumps(value)}
            return Offer("sonnet", f"{name} is set", ("providers", "claude"), settings, lacks)
    return None


def _openai() -> Offer | None:
    value = os.environ.get("OPENAI_API_KEY", "")
    if not value:
        return None
    settings = {"GATEWRIGHT_PROVIDERS__OPENAI__API_KEY": json.dumps(value)}
    lacks = _lacks("openai", "openai")
    return Offer("openai:gpt-5.5", "OPENAI_API_KEY is set", ("providers", "openai"), settings, lacks)


def _ollama() -> Offer | None:
    try:
        listed = httpx.get(f"{OLLAMA}/api/tags", timeout=0.3, trust_env=False).json().get("models", [])
    except (httpx.HTTPError, ValueError, AttributeError):
        return None  # nothing listens there, which is the usual case
    names = [str(each["name"]) for each in listed if isinstance(each, dict) and each.get("name")]
    if not names:
        return None
    settings = {"GATEWRIGHT_PROVIDERS__OLLAMA__BASE_URL": json.dumps(OLLAMA)}
    return Offer(f"ollama:{names[0]}", f"an Ollama answers at {OLLAMA}", ("providers", "ollama"), settings)


def _claude_cli() -> Offer | None:
    """Offer the subscription of a Claude CLI, whose log-in stays its own: a token of it has to be asked for."""
    if any(os.environ.get(name) for name in KEYS) or not shutil.which(CLAUDE_CLI):
        return None
    steps = "export CLAUDE_CODE_OAUTH_TOKEN=$(the token that `claude setup-token` prints)"
    extra = _lacks("claude_agent_sdk", "claude")
    return Offer("sonnet", "a claude CLI is here", ("providers", "claude"), {}, f"{extra}; {steps}" if extra else steps)


def _lacks(package: str, extra: str) -> str:
    return "" if importlib.util.find_spec(package) else f"pip install 'gatewright[{extra}]'"
