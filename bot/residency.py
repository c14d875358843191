"""Where models lead by these settings, whether policy lets them be used there, and what may stand in for them."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from fnmatch import fnmatchcase
from typing import Final

from bot.model.errors import GatewrightError, Refused, UsageError
from bot.model.policy import Policy
from bot.model.profile import PHASES
from bot.model.routing import PREFIXES, Route, resolve
from bot.model.task import Profile
from bot.model.team import Team
from bot.profiles import keys_of
from bot.settings import ProviderTable, Settings

DEFAULT: Final = "OPENCODE_DEFAULT_MODEL"
ENDPOINT: Final = re.compile(r"[a-z0-9][a-z0-9-]{0,38}")
MOST_NAMED: Final = 12  # models that an answer lists


def residency_of(route: Route, settings: Settings) -> str:
    """Name the class of residency of where a route's calls end up; empty where the settings do not say."""
    kind, _, name = behind(route, settings).partition(".")
    tables = settings.endpoints if kind == "endpoints" else settings.providers
    return tables.get(name, ProviderTable()).residency


def behind(route: Route, settings: Settings) -> str:
    """Name the table that a route's calls go by, as `providers.<name>` or `endpoints.<name>`; empty where none does.

    OpenCode's models name another provider's, unless OpenCode has an address of its own.
    """
    if route.endpoint:
        return f"endpoints.{route.endpoint}"
    if route.provider != "opencode" or settings.providers.get("opencode", ProviderTable()).base_url:
        return f"providers.{route.provider}"
    name = route.model.partition("/")[0]
    if name in settings.endpoints:
        return f"endpoints.{name}"
    return "providers.openai" if name == "openai" else ""


def route_of(model: str, settings: Settings) -> Route:
    """Resolve a model string with the endpoints of these settings; raises UsageError with the forms."""
    return resolve(model, settings.endpoints, os.environ.get(DEFAULT, ""))


def check_model(policy: Policy, settings: Settings, model: str) -> None:
    """Raise Refused where a model string leads nowhere, or policy does not let it be used.

    Settings without any provider are those of a control whose workers have the tables: endpoints that it does not know
    may be registered there, and residency is for the worker to check.
    """
    route = _route(model, settings)
    if not _is_allowed(policy, model):
        raise Refused(
            "GW-MODEL-POLICY", f"policy does not allow the model {model}",
            fix=f"name one that matches: {', '.join(policy.allowed_models)}",
        )  # fmt: skip
    if not _is_of_tier(policy, route):
        raise Refused(
            "GW-MODEL-TIER", f"policy does not allow the model {model}: its provider's tier is {route.tier}",
            why=f"policy.require_tier asks for {policy.require_tier}: Claude, Codex, Amazon Bedrock and Azure OpenAI",
            fix=_would_do(policy, settings),
        )  # fmt: skip
    if _has_tables(settings):
        check_residency(policy, settings, model, route)


def check_residency(policy: Policy, settings: Settings, model: str, route: Route) -> None:
    """Raise Refused where a route leads out of the classes of residency that policy names; unsaid is none of them."""
    if _is_near(policy, settings, route):
        return
    found = residency_of(route, settings)
    section = behind(route, settings) or f"providers.{route.provider}"
    place = f"it is worked on in {found}" if found else "the settings do not say where it is worked on"
    raise Refused(
        "GW-MODEL-RESIDENCY", f"policy does not allow the model {model}: {place}",
        why=f"policy.residency names {', '.join(policy.residency)}, and {section}.residency is {found or 'not set'}",
        fix=_would_do(policy, settings),
    )  # fmt: skip


def stand_ins(policy: Policy, settings: Settings, model: str, team: Team | None = None) -> tuple[str, ...]:
    """List what may stand in for a model, best first: allowed like any other, and of the model's own residency.

    Where control has no tables, every class is the same to it, and the worker drops what is of another.
    """
    home = residency_of(_route(model, settings), settings)
    return tuple(
        other
        for other in dict.fromkeys(policy.fallbacks.get(model, ()))
        if other != model and (team is None or team.allows(other)) and _stands_in(policy, settings, other, home)
    )


def check_profile(check: Callable[[str], None], profile: Profile) -> None:
    """Put every model of a profile to a check; Refused names the phase of the first that fails."""
    for phase in PHASES:
        try:
            check(getattr(profile, phase))
        except GatewrightError as error:
            raise Refused(error.code, f"{error.what} (for {phase})", why=error.why, fix=error.fix) from None


def unfit(settings: Settings) -> Iterator[tuple[str, GatewrightError]]:
    """List the models of the settings' own profiles that its policy would refuse, each with its key, once."""
    for place, model in keys_of(settings).items():
        try:
            check_model(settings.policy, settings, model)
        except GatewrightError as error:
            yield place, error


def configured(settings: Settings) -> tuple[str, ...]:
    """List the model strings that the settings name anywhere, in their order."""
    named = list(keys_of(settings).values())
    named += [glob for glob in settings.policy.allowed_models if not any(each in glob for each in "*?[")]
    named += [model for first, others in settings.policy.fallbacks.items() for model in (first, *others)]
    return tuple(dict.fromkeys(named))


def _route(model: str, settings: Settings) -> Route:
    try:
        return route_of(model, settings)
    except UsageError as error:
        prefix, _, rest = model.partition(":")
        if _has_tables(settings) or not rest or prefix in PREFIXES or not ENDPOINT.fullmatch(prefix):
            raise Refused(error.code, error.what, why=error.why, fix=error.fix) from None
        return Route("endpoint", rest, prefix, rule=f"{prefix}: (an endpoint of the worker's)")


def _has_tables(settings: Settings) -> bool:
    return bool(settings.providers or settings.endpoints)


def _is_allowed(policy: Policy, model: str) -> bool:
    return not policy.allowed_models or any(fnmatchcase(model, glob) for glob in policy.allowed_models)


def _is_of_tier(policy: Policy, route: Route) -> bool:
    return policy.require_tier in ("", route.tier)


def _is_near(policy: Policy, settings: Settings, route: Route) -> bool:
    return not policy.residency or residency_of(route, settings) in policy.residency


def _stands_in(policy: Policy, settings: Settings, model: str, home: str) -> bool:
    """Tell whether a model may do what another one of that residency would have done."""
    try:
        check_model(policy, settings, model)
    except Refused:
        return False
    return residency_of(_route(model, settings), settings) == home


def _would_do(policy: Policy, settings: Settings) -> str:
    """Say which of the configured models would do."""
    fit = [model for model in configured(settings) if _fits(policy, settings, model)]
    return f"these would do: {', '.join(fit[:MOST_NAMED])}" if fit else "none of the configured models would do"


def _fits(policy: Policy, settings: Settings, model: str) -> bool:
    try:
        route = _route(model, settings)
    except Refused:
        return False
    is_near = not _has_tables(settings) or _is_near(policy, settings, route)
    return _is_allowed(policy, model) and _is_of_tier(policy, route) and is_near
