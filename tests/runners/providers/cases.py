"""Every way to a model, by the name of its provider: what the contract knows of each."""

from __future__ import annotations

from tests.runners.providers.contract import ProviderCase
from tests.runners.providers.test_chat import ChatCase
from tests.runners.providers.test_chat_azure import VERSION, AzureCase
from tests.runners.providers.test_claude import BedrockCase, ClaudeCase
from tests.runners.providers.test_codex import CodexCase
from tests.runners.providers.test_copilot import CopilotCase
from tests.runners.providers.test_gemini import GeminiCase
from tests.runners.providers.test_ollama import OllamaCase
from tests.runners.providers.test_opencode import OpenCodeCase

CASES: dict[str, ProviderCase] = {
    "claude": ClaudeCase(),
    "bedrock": BedrockCase(),
    "codex": CodexCase(),
    "copilot": CopilotCase(),
    "gemini": GeminiCase(),
    "opencode": OpenCodeCase(),
    "openai": ChatCase(),
    "azure": AzureCase(""),
    "azure-older": AzureCase(VERSION),
    "endpoint": ChatCase(),
    "ollama": OllamaCase(),
}
