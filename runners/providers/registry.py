"""From a route to a provider that can run; providers are imported when they are asked for."""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Final

from bot.model.errors import GatewrightError, UsageError
from bot.model.routing import LABELS, RECORDED, Route, explain
from bot.residency import route_of
from bot.settings import ProviderTable, Settings
from runners.providers import installed
from runners.providers.protocol import Provider
from runners.providers.runtime import Runtime
from runners.providers.upstreams import table_of, upstream

_RECORDING: Final = re.compile(r"^[a-z0-9][a-z0-9-]{0,63}$")
_CHAT: Final = "runners.providers.chat"
_CLAUDE: Final = "runners.providers.claude"
_PRELOADS: Final = {
    "claude": _CLAUDE, "bedrock": _CLAUDE, "openai": _CHAT, "azure": _CHAT, "endpoint": _CHAT,
    "ollama": "runners.providers.ollama",
}  # fmt: skip


def create(route: Route, settings: Settings) -> Provider:
    """Make the provider of a route; raises UsageError where the settings have none."""
    if not _table(route, settings).enabled:
        raise UsageError(
            "GW-MODEL-PROVIDER-DISABLED", f"{_name(route)} is switched off",
            why=f"{_section(route)}.enabled is false", fix="Choose another model, or switch it on.",
        )  # fmt: skip
    return _MAKERS[route.provider](route, settings)


def explanation(model: str, settings: Settings, *, check: bool = False) -> str:
    """Say in one line where a model string goes; `check` raises where it could not run here; no network."""
    route = route_of(model, settings)
    if check:
        create(route, settings)
        if route.provider != RECORDED:
            upstream(route, settings)
            installed.look(route.provider, settings)
    return explain(route)


def preload(models: Iterable[str], settings: Settings) -> None:
    """Import what models need, for processes that are forked later; what fails here is for the attempt to report."""
    for model in models:
        with suppress(GatewrightError, ImportError):
            route = route_of(model, settings)
            create(route, settings)
            if route.provider in _PRELOADS:
                importlib.import_module(_PRELOADS[route.provider]).preload()


def _claude(route: Route, _settings: Settings) -> Provider:
    from runners.providers.claude import ClaudeProvider  # noqa: PLC0415

    return ClaudeProvider(route.provider)


def _codex(_route: Route, settings: Settings) -> Provider:
    from runners.providers.codex import Codex  # noqa: PLC0415

    table = _own(settings, "codex")
    return _command(Codex(binary=table.binary, context=table.context))


def _gemini(_route: Route, settings: Settings) -> Provider:
    from runners.providers.gemini import Gemini  # noqa: PLC0415

    return _command(Gemini(binary=_own(settings, "gemini").binary, tools_dir=settings.worker.tools_dir))


def _copilot(_route: Route, settings: Settings) -> Provider:
    from runners.providers.copilot import Copilot  # noqa: PLC0415

    table = _own(settings, "copilot")
    work = settings.worker.work_dir
    cache = Path(work) / "runtimes" if work else None
    return _command(
        Copilot(tools_dir=settings.worker.tools_dir, binary=table.binary, cache=cache, context=table.context)
    )


def _opencode(route: Route, settings: Settings) -> Provider:
    from runners.providers.opencode import OpenCode  # noqa: PLC0415

    binary, context = _own(settings, "opencode").binary, table_of(route, settings).context
    return _command(OpenCode(tools_dir=settings.worker.tools_dir, binary=binary, context=context))


def _command(runtime: Runtime) -> Provider:
    from runners.providers.command import CommandProvider  # noqa: PLC0415

    return CommandProvider(runtime)


def _chat(route: Route, settings: Settings) -> Provider:
    from runners.loop.loop import Loop  # noqa: PLC0415
    from runners.providers.chat import connect  # noqa: PLC0415

    return Loop(route.endpoint or route.provider, connect, context=table_of(route, settings).context)


def _azure(_route: Route, settings: Settings) -> Provider:
    from runners.loop.loop import Loop  # noqa: PLC0415
    from runners.providers.chat_azure import connector  # noqa: PLC0415

    table = _own(settings, "azure")
    return Loop("azure", connector(table), context=table.context)


def _ollama(_route: Route, settings: Settings) -> Provider:
    from runners.loop.loop import Loop  # noqa: PLC0415
    from runners.providers.ollama import connector  # noqa: PLC0415

    return Loop("ollama", connector(_own(settings, "ollama")))


def _scripted(route: Route, settings: Settings) -> Provider:
    from runners.loop.loop import Loop  # noqa: PLC0415
    from runners.providers.scripted import connector, load  # noqa: PLC0415

    folder = _own(settings, RECORDED).base_url
    if not folder or not _RECORDING.match(route.model):
        raise UsageError(
            "GW-MODEL-PROVIDER-DISABLED", "recorded answers are for the demo and for tests",
            why="settings name no folder of recordings, or the name is not of letters, digits and dashes",
            fix="Choose a model; `gatewright models resolve` explains the forms.",
        )  # fmt: skip
    return Loop("scripted", connector(load(Path(folder) / f"{route.model}.json")))


_MAKERS: Final[dict[str, Callable[[Route, Settings], Provider]]] = {
    "claude": _claude, "bedrock": _claude, "codex": _codex, "gemini": _gemini, "copilot": _copilot,
    "opencode": _opencode, "openai": _chat, "azure": _azure, "ollama": _ollama, "endpoint": _chat,
    RECORDED: _scripted,
}  # fmt: skip


def _own(settings: Settings, provider: str) -> ProviderTable:
    return settings.providers.get(provider, ProviderTable())


def _section(route: Route) -> str:
    return f"endpoints.{route.endpoint}" if route.endpoint else f"providers.{route.provider}"


def _table(route: Route, settings: Settings) -> ProviderTable:
    return settings.endpoints[route.endpoint] if route.endpoint else _own(settings, route.provider)


def _name(route: Route) -> str:
    return f"the endpoint {route.endpoint}" if route.endpoint else LABELS[route.provider]
