"""The program or package behind each provider: whether it is here, and in which version; nothing is started."""

from __future__ import annotations

import importlib.util
import json
import shutil
from importlib import metadata
from pathlib import Path
from typing import Final

import msgspec

from bot.model.routing import LABELS
from bot.settings import ProviderTable, Settings
from runners.providers import tools

TRIED: Final = {
    "claude": "0.2.187", "bedrock": "0.2.187", "codex": "0.163.0", "gemini": "0.61.0", "copilot": "1.0.102",
    "opencode": "1.18.33",
}  # fmt: skip
PACKAGES: Final = {  # what is imported, the distribution that brings it, our extra
    "claude": ("claude_agent_sdk", "claude-agent-sdk", "claude"),
    "bedrock": ("claude_agent_sdk", "claude-agent-sdk", "claude"),
    "codex": ("codex_cli_bin", "openai-codex-cli-bin", "codex"),
    "openai": ("openai", "openai", "openai"),
    "azure": ("openai", "openai", "openai"),
    "endpoint": ("openai", "openai", "openai"),
}
PROGRAMS: Final = {"gemini": tools.GEMINI, "copilot": tools.COPILOT, "opencode": tools.OPENCODE}


class Installed(msgspec.Struct, frozen=True):
    """What was found; `tried` is the version that this Gatewright was tried with."""

    name: str
    version: str
    tried: str


def look(provider: str, settings: Settings) -> Installed:
    """Find what a provider runs on; raises GW-MODEL-RUNTIME-MISSING with what to install."""
    if provider in PROGRAMS:
        return _program(provider, settings)
    if provider in PACKAGES:
        return _package(provider, settings)
    return Installed("our own loop", "", "")


def _program(provider: str, settings: Settings) -> Installed:
    table = settings.providers.get(provider, ProviderTable())
    path = tools.tool(settings.worker.tools_dir, PROGRAMS[provider], label=LABELS[provider], binary=table.binary)
    if provider == "gemini":
        tools.node(settings.worker.tools_dir, label=LABELS[provider])
    if provider == "opencode" and not shutil.which("rg", path=tools.SYSTEM):
        tools.tool(settings.worker.tools_dir, tools.RIPGREP, label="ripgrep, which OpenCode searches with,")
    return Installed(str(path), _npm_version(path), TRIED[provider])


def _package(provider: str, settings: Settings) -> Installed:
    module, distribution, extra = PACKAGES[provider]
    table = settings.providers.get(provider, ProviderTable())
    if provider == "codex" and table.binary:
        path = tools.tool("", "", label=LABELS[provider], binary=table.binary)
        return Installed(str(path), "", TRIED[provider])
    if importlib.util.find_spec(module) is None:
        raise tools.absent(
            LABELS[provider], f"the package {distribution} is not installed",
            f"Install the extra: pip install 'gatewright[{extra}]'.",
        )  # fmt: skip
    version = metadata.version(distribution)
    return Installed(distribution, version, TRIED.get(provider, version))


def _npm_version(program: Path) -> str:
    """Read the version out of the package that a program lies in, empty where it lies in none."""
    for folder in program.parents[:4]:
        manifest = folder / "package.json"
        if manifest.is_file():
            version = json.loads(manifest.read_bytes()).get("version", "")
            return version if isinstance(version, str) else ""
    return ""
