"""What this machine has at hand, and what it would take."""

from __future__ import annotations

import asyncio
import importlib.util
import os
from pathlib import Path

import pytest

from bot.settings_file import load
from bot.terminal import offers as module
from bot.terminal.offers import hints, offers
from tests.simulators.models import ModelServer, Script
from tests.simulators.models.ollama import MODEL

NAMES = ("ANTHROPIC_API_KEY", "CLAUDE_CODE_OAUTH_TOKEN", "OPENAI_API_KEY")


@pytest.fixture(autouse=True)
def bare(monkeypatch, tmp_path):
    """Nothing at hand: no keys, no CLI, and nobody who plays Ollama."""
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(module, "OLLAMA", "http://127.0.0.1:9")


def test_nothing_at_hand_offers_nothing():
    assert offers() == hints() == ()


@pytest.mark.parametrize(
    ("name", "package", "model", "setting"),
    [
        ("ANTHROPIC_API_KEY", "claude_agent_sdk", "sonnet", "providers.claude.api_key"),
        ("CLAUDE_CODE_OAUTH_TOKEN", "claude_agent_sdk", "sonnet", "providers.claude.auth_token"),
        ("OPENAI_API_KEY", "openai", "openai:gpt-5.5", "providers.openai.api_key"),
    ],
)
def test_a_key_is_offered_with_the_settings_it_needs(monkeypatch, name, package, model, setting):
    monkeypatch.setenv(name, 'sk-with-"quotes"')
    if importlib.util.find_spec(package) is None:
        assert "pip install" in hints()[0].lacks
        return
    (offer,) = offers()
    assert (offer.model, offer.because) == (model, f"{name} is set")
    assert 'sk-with-"quotes"' not in offer.because
    section, table, key = setting.split(".")
    found = getattr(load(None, dict(offer.overrides)), section)[table]
    assert getattr(found, key) == 'sk-with-"quotes"'


async def test_an_ollama_that_answers_is_offered_with_its_first_model(monkeypatch):
    async with ModelServer(Script()) as server:
        monkeypatch.setattr(module, "OLLAMA", server.url)
        server.key = ""  # an Ollama asks for none
        (offer,) = await asyncio.to_thread(offers)
    assert offer.model == f"ollama:{MODEL}"
    assert load(None, dict(offer.overrides)).providers["ollama"].base_url == server.url


def test_a_cli_with_a_log_in_of_its_own_is_a_hint_and_no_offer(tmp_path):
    program = Path(os.environ["PATH"]) / "claude"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    assert offers() == ()
    assert "claude setup-token" in hints()[0].lacks
