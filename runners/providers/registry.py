"""From a route to a provider that can run; providers are imported when they are asked for."""

from __future__ import annotations

import importlib
import importlib.util
import os
import re
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Final

from bot.model.errors import GatewrightError, UsageError
from bot.settings import ProviderTable, Settings
from runners.providers.protocol import Provider, Upstream
from bot.model.routing import LABELS, RECORDED, Route, explain, resolve

_RECORDING: Final = re.compile(r"^[a-z0-9][a-z0-9-]{0,63}$")
_VENDORS: Final = {"claude": "https://api.anthropic.com", "openai": "https://api.openai.com/v1"}
_PACKAGES: Final = {"claude_agent_sdk": "claude", "openai": "openai"}  # what is imported -> the extra that brings it
_CHAT: Final = "runners.providers.chat"
_PRELOADS: Final = {"claude": "runners.providers.claude", "openai": _CHAT, "endpoint": _CHAT}
_ENVIRONMENT: Final = {
    "claude": "GATEWRIGHT_PROVIDERS__CLAUDE__API_KEY",
    "openai": "GATEWRIGHT_PROVIDERS__OPENAI__API_KEY",
}


def create(route: Route, settings: Settings) -> Provider:
    """Make the provider of a route; raises GatewrightError where this version or these settings have none."""
    make = _MAKERS.get(route.provider)
    if make is None:
        raise GatewrightError(
            "GW-MODEL-PROVIDER-MISSING", f"{LABELS[route.provider]} is not available in this version",
            why=f"the model string resolves to the provider `{route.provider}`",
            fix="Use sonnet, opus, haiku or claude-*, openai:<model>, or <registered endpoint>:<model>.",
        )  # fmt: skip
    if not _table(route, settings).enabled:
        raise UsageError(
            "GW-MODEL-PROVIDER-DISABLED", f"{_name(route)} is switched off",
            why=f"{_section(route)}.enabled is false", fix="Choose another model, or switch it on.",
        )  # fmt: skip
    return make(route, settings)


def upstream(route: Route, settings: Settings) -> Upstream:
    """Say where the gateway sends a route's calls, and with which key; raises UsageError where something is unset."""
    table = _table(route, settings)
    dialect = "anthropic" if route.provider == "claude" else "openai"
    if route.endpoint:
        if not table.base_url:
            raise UsageError(
                "GW-MODEL-ENDPOINT-URL", f"the endpoint {route.endpoint} has no base_url",
                fix=f"Set {_section(route)}.base_url, for instance http://127.0.0.1:8000/v1.",
            )  # fmt: skip
    elif route.provider not in _VENDORS:
        raise UsageError("GW-MODEL-NO-UPSTREAM", f"{LABELS[route.provider]} has nothing behind the gateway")
    elif not (table.api_key or table.auth_token):
        raise UsageError(
            "GW-MODEL-KEY-MISSING", f"there is no key for {LABELS[route.provider]}",
            fix=f"Set {_section(route)}.api_key, or {_ENVIRONMENT[route.provider]} or its ..._FILE form.",
        )  # fmt: skip
    base_url = table.base_url or _VENDORS[route.provider]
    return Upstream(dialect, base_url, table.api_key, table.auth_token, route.endpoint or route.provider)


def explanation(model: str, settings: Settings, *, check: bool = False) -> str:
    """Say in one line where a model string goes; `check` raises where it could not run here; no network."""
    route = resolve(model, settings.endpoints, os.environ.get("OPENCODE_DEFAULT_MODEL", ""))
    if check:
        create(route, settings)
        if route.provider != RECORDED:
            upstream(route, settings)
            _installed(route)
    return explain(route)


def preload(models: Iterable[str], settings: Settings) -> None:
    """Import what models need, for processes that are forked later; what fails here is for the attempt to report."""
    for model in models:
        with suppress(GatewrightError, ImportError):
            route = resolve(model, settings.endpoints, os.environ.get("OPENCODE_DEFAULT_MODEL", ""))
            create(route, settings)
            if route.provider in _PRELOADS:
                importlib.import_module(_PRELOADS[route.provider]).preload()


def _installed(route: Route) -> None:
    package = "claude_agent_sdk" if route.provider == "claude" else "openai"
    if importlib.util.find_spec(package) is None:
        raise GatewrightError(
            "GW-MODEL-RUNTIME-MISSING", f"{LABELS[route.provider]} needs the package {package}, which is not installed",
            fix=f"Install the extra: pip install 'gatewright[{_PACKAGES[package]}]'.",
        )  # fmt: skip


def _claude(_route: Route, _settings: Settings) -> Provider:
    from runners.providers.claude import ClaudeProvider  # noqa: PLC0415

    return ClaudeProvider()


def _chat(route: Route, settings: Settings) -> Provider:
    from runners.loop.loop import Loop  # noqa: PLC0415
    from runners.providers.chat import connect  # noqa: PLC0415

    return Loop(route.endpoint or route.provider, connect, context=_table(route, settings).context)


def _scripted(route: Route, settings: Settings) -> Provider:
    from runners.loop.loop import Loop  # noqa: PLC0415
    from runners.providers.scripted import connector, load  # noqa: PLC0415

    folder = _table(route, settings).base_url
    if not folder or not _RECORDING.match(route.model):
        raise UsageError(
            "GW-MODEL-PROVIDER-DISABLED", "recorded answers are for the demo and for tests",
            why="settings name no folder of recordings, or the name is not of letters, digits and dashes",
            fix="Choose a model; `gatewright models resolve` explains the forms.",
        )  # fmt: skip
    return Loop("scripted", connector(load(Path(folder) / f"{route.model}.json")))


_MAKERS: Final[dict[str, Callable[[Route, Settings], Provider]]] = {
    "claude": _claude, "openai": _chat, "endpoint": _chat, "scripted": _scripted,
}  # fmt: skip


def _table(route: Route, settings: Settings) -> ProviderTable:
    if route.endpoint:
        return settings.endpoints[route.endpoint]
    return settings.providers.get(route.provider, ProviderTable())


def _section(route: Route) -> str:
    return f"endpoints.{route.endpoint}" if route.endpoint else f"providers.{route.provider}"


def _name(route: Route) -> str:
    return f"the endpoint {route.endpoint}" if route.endpoint else LABELS[route.provider]
