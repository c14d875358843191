"""Which provider a model string goes to; the table of docs/providers.md, first match wins; pure."""

from __future__ import annotations

from collections.abc import Collection
from difflib import get_close_matches
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import Final

import msgspec

from bot.model.errors import UsageError


class Tier(StrEnum):
    """What a policy can ask of a provider."""

    ENTERPRISE = "enterprise-certified"
    COMMUNITY = "community"


class Route(msgspec.Struct, frozen=True):
    """Where a model string goes: `model` is what the provider is asked for, `endpoint` a registered one."""

    provider: str
    model: str
    endpoint: str = ""
    tier: Tier = Tier.COMMUNITY
    rule: str = ""  # the form that matched


PREFIXES: Final = ("ollama", "copilot", "opencode", "openai", "azure", "bedrock")
NAMES: Final = (
    ("claude", ("sonnet", "opus", "haiku", "claude-*")),
    ("codex", ("gpt-*", "*codex*")),
    ("gemini", ("gemini-*",)),
    ("openai", ("o1", "o3*", "o4*")),
)
RECORDED: Final = "scripted"  # plays only where the settings name a folder of recordings; not a form for people
# What no endpoint may be called: a prefix of its own, a provider, or an alias that people would take it for.
RESERVED: Final = frozenset(
    {*PREFIXES, RECORDED, *(provider for provider, _ in NAMES)}
    | {name for _, patterns in NAMES for name in patterns if "*" not in name}
)
CERTIFIED: Final = frozenset({"claude", "codex", "bedrock", "azure"})
LABELS: Final = {
    "claude": "Claude Agent SDK", "codex": "Codex CLI", "gemini": "Gemini CLI", "copilot": "GitHub Copilot CLI",
    "opencode": "OpenCode CLI", "openai": "OpenAI API", "azure": "Azure OpenAI", "bedrock": "Claude on Amazon Bedrock",
    "ollama": "Ollama", "endpoint": "OpenAI-compatible endpoint", RECORDED: "recorded answers",
}  # fmt: skip
FORMS: Final = (
    "ollama:<model>", "copilot:<model>", "opencode:<provider/model>", "openai:<model>", "azure:<deployment>",
    "bedrock:<model>", "<registered endpoint>:<model>", "sonnet", "opus", "haiku", "claude-*", "gpt-*", "*codex*",
    "gemini-*", "o1", "o3*", "o4*",
)  # fmt: skip


def resolve(model: str, endpoints: Collection[str], default_opencode: str = "") -> Route:
    """Find the provider of a model string; raises UsageError with the forms and the nearest one."""
    prefix, colon, rest = model.partition(":")
    if colon:
        return _prefixed(model, prefix, rest, endpoints, default_opencode)
    if prefix == "opencode":
        return _prefixed(model, prefix, "", endpoints, default_opencode)
    for provider, patterns in NAMES:
        for pattern in patterns:
            if fnmatchcase(model, pattern):
                return _route(provider, model, pattern)
    raise _unknown(model, endpoints)


def _prefixed(model: str, prefix: str, rest: str, endpoints: Collection[str], default_opencode: str) -> Route:
    """Resolve `prefix:rest`; an unknown prefix matches no name pattern, so a typing error never changes the vendor."""
    if prefix == "opencode":
        return _opencode(rest or default_opencode)
    if prefix not in (*PREFIXES, *endpoints, RECORDED):
        raise _unknown(model, endpoints)
    if not rest:
        raise UsageError("GW-MODEL-FORM", f"`{model}` names no model", fix=f"Write `{prefix}:<model>`.")
    if prefix in PREFIXES or prefix == RECORDED:
        return _route(prefix, rest, f"{prefix}:")
    return Route("endpoint", rest, prefix, Tier.COMMUNITY, f"{prefix}: (registered endpoint)")


def _opencode(model: str) -> Route:
    if not model:
        raise UsageError(
            "GW-MODEL-FORM", "`opencode` names no model",
            fix="Write `opencode:<provider/model>`, or set OPENCODE_DEFAULT_MODEL to one.",
        )  # fmt: skip
    provider, _, name = model.partition("/")
    if not provider or not name:
        raise UsageError(
            "GW-MODEL-FORM", f"OpenCode does not know `{model}`: its models are named provider/model",
            fix=f"Write for instance `opencode:anthropic/{model.strip('/')}`.",
        )  # fmt: skip
    return _route("opencode", model, "opencode:")


def _route(provider: str, model: str, rule: str) -> Route:
    return Route(provider, model, "", Tier.ENTERPRISE if provider in CERTIFIED else Tier.COMMUNITY, rule)


def _unknown(model: str, endpoints: Collection[str]) -> UsageError:
    forms = [*FORMS, *(f"{name}:<model>" for name in sorted(endpoints))]
    near = _nearest(model, endpoints)
    return UsageError(
        "GW-MODEL-FORM", f"no provider goes by the model string `{model}`", why=f"the forms are: {', '.join(forms)}",
        fix=f"Did you mean `{near}`?" if near else "Use one of the forms, or register the endpoint.",
    )  # fmt: skip


def _nearest(model: str, endpoints: Collection[str]) -> str:
    prefix, colon, rest = model.partition(":")
    if colon:
        close = get_close_matches(prefix.lower(), [*PREFIXES, *endpoints], n=1)
        return f"{close[0]}:{rest or '<model>'}" if close else f"ollama:{model}"  # its names hold colons
    if any(fnmatchcase(model.lower(), pattern) for _, patterns in NAMES for pattern in patterns):
        return model.lower()
    if fnmatchcase(model, "o1*"):
        return f"openai:{model}"
    heads = {pattern.rstrip("*"): pattern for _, patterns in NAMES for pattern in patterns if pattern[0] != "*"}
    close = get_close_matches(model.lower(), heads, n=1) or get_close_matches(
        model.lower().split("-")[0] + "-", heads, n=1
    )
    return heads[close[0]] if close else ""


def explain(route: Route) -> str:
    """Say in one line where a model goes and why."""
    via = f"{LABELS[route.provider]} `{route.endpoint}`" if route.endpoint else LABELS[route.provider]
    return f"{route.model} -> {via} (matched {route.rule}; {route.tier})"
