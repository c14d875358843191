"""Where the gateway sends the calls of a route, and with which key."""

from __future__ import annotations

from typing import Final

import msgspec

from bot.model.errors import UsageError
from bot.model.routing import LABELS, Route
from bot.residency import behind
from bot.settings import ProviderTable, Settings
from runners.providers.protocol import Upstream


class Vendor(msgspec.Struct, frozen=True):
    """What holds for one kind of provider as long as its table does not say otherwise."""

    dialect: str
    base_url: str = ""  # empty: the table has to say where it is
    has_key: bool = True


VENDORS: Final = {
    "claude": Vendor("anthropic", "https://api.anthropic.com"),
    "codex": Vendor("openai", "https://api.openai.com/v1"),
    "openai": Vendor("openai", "https://api.openai.com/v1"),
    "gemini": Vendor("gemini", "https://generativelanguage.googleapis.com"),
    "copilot": Vendor("openai"),
    "opencode": Vendor("openai", has_key=False),
    "azure": Vendor("azure"),
    "bedrock": Vendor("bedrock"),
    "ollama": Vendor("ollama", "http://127.0.0.1:11434", has_key=False),
    "endpoint": Vendor("openai", has_key=False),
}
EXAMPLES: Final = {
    "endpoint": "http://127.0.0.1:8000/v1",
    "azure": "https://<resource>.openai.azure.com",
    "copilot": "https://api.openai.com/v1, or any endpoint that speaks chat completions",
}


def table_of(route: Route, settings: Settings) -> ProviderTable:
    """Find the table that a route's calls go by; raises UsageError where there is none."""
    kind, _, name = section_of(route, settings).partition(".")
    return settings.endpoints[name] if kind == "endpoints" else settings.providers.get(name, ProviderTable())


def section_of(route: Route, settings: Settings) -> str:
    """Name that table as the settings do; OpenCode's models name another provider's. Raises UsageError."""
    if section := behind(route, settings):
        return section
    name = route.model.partition("/")[0][:64]
    raise UsageError(
        "GW-MODEL-NO-UPSTREAM", f"OpenCode's provider `{name}` leads nowhere",
        why="it is no endpoint of this server, and providers.opencode has no base_url",
        fix=f"Register it (gatewright endpoints add {name}), or set providers.opencode.base_url and api_key.",
    )  # fmt: skip


def asked_for(route: Route) -> str:
    """Name the model as it stands on the wire."""
    return route.model.partition("/")[2] if route.provider == "opencode" else route.model


def upstream(route: Route, settings: Settings) -> Upstream:
    """Say where the gateway sends a route's calls, and with which key; raises UsageError where something is unset."""
    section, table = section_of(route, settings), table_of(route, settings)
    kind, _, name = section.partition(".")
    vendor = VENDORS.get("endpoint" if kind == "endpoints" else name)
    if vendor is None:
        raise UsageError(
            "GW-MODEL-NO-UPSTREAM", f"{_label(route)} has nothing behind the gateway",
            fix="Choose a model; `gatewright models resolve` explains the forms.",
        )  # fmt: skip
    base_url = table.base_url or (_bedrock(table) if route.provider == "bedrock" else vendor.base_url)
    if not base_url:
        raise UsageError(
            "GW-MODEL-ENDPOINT-URL", f"{_label(route)} has no base_url",
            fix=f"Set {section}.base_url, for instance {EXAMPLES.get(route.provider, EXAMPLES['endpoint'])}.",
        )  # fmt: skip
    if vendor.has_key and not (table.api_key or table.auth_token):
        raise UsageError(
            "GW-MODEL-KEY-MISSING", f"there is no key for {_label(route)}",
            fix=f"Set {section}.api_key, or {_variable(section)} or its ..._FILE form.",
        )  # fmt: skip
    return Upstream(
        vendor.dialect, base_url, table.api_key, table.auth_token, name, table.access_key, table.session_token,
        table.region,
    )  # fmt: skip


def _bedrock(table: ProviderTable) -> str:
    if not table.region:
        raise UsageError(
            "GW-MODEL-REGION",
            "Amazon Bedrock needs a region",
            fix="Set providers.bedrock.region, for instance eu-west-1.",
        )
    return f"https://bedrock-runtime.{table.region}.amazonaws.com"


def _label(route: Route) -> str:
    return f"the endpoint {route.endpoint}" if route.endpoint else LABELS[route.provider]


def _variable(section: str) -> str:
    return f"GATEWRIGHT_{section.upper().replace('.', '__').replace('-', '_')}__API_KEY"
