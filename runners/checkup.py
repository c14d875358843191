"""What a model string needs on this machine, looked at without asking a model: for `doctor` and `models check`."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from difflib import get_close_matches
from typing import Final

import msgspec

from bot.model.errors import GatewrightError
from bot.model.routing import LABELS, RECORDED, Route
from bot.network import go_out
from bot.residency import configured, route_of
from bot.settings import Settings
from runners.gateway.listing import NotListed, listed
from runners.gateway.rules import allows
from runners.providers import installed, registry
from runners.providers.upstreams import asked_for, section_of, table_of, upstream

NEAREST: Final = 3
SHOWN: Final = 300  # characters of what somebody else's server says


class Look(msgspec.Struct, frozen=True):
    """One thing that was looked at; `verdict` is ok, warn or FAIL."""

    verdict: str
    words: str
    why: str = ""
    fix: str = ""


def check(models: Sequence[str], settings: Settings, *, as_json: bool = False) -> int:
    """Look at model strings, or at all that the settings name, and print; return 1 where one could not work here."""
    go_out(settings)
    worst = 0
    for subject, found in [(each, looks(each, settings)) for each in models] or list(_all(settings)):
        for look in found:
            worst = max(worst, int(look.verdict == "FAIL"))
            sys.stdout.write(_line(subject, look, as_json=as_json))
            sys.stdout.flush()
    return worst


def looks(model: str, settings: Settings) -> Iterator[Look]:
    """Look in the order of what a run needs, and stop at what stops it.

    (1) The string has a provider, which is switched on. (2) Its program or package is here, in a version that was
    tried. (3) Its address and key are set. (4) The address answers, takes the key, and (5) knows the model.
    """
    try:
        route = route_of(model, settings)
    except GatewrightError as error:
        yield _failed(error)
    else:
        yield from _looks(route, settings)


def _all(settings: Settings) -> Iterator[tuple[str, Iterator[Look]]]:
    """List the models that the settings name, then the providers that are set up and serve none of them."""
    seen = set()
    for model in configured(settings):
        with suppress(GatewrightError):  # said by `looks`
            seen.add(section_of(route_of(model, settings), settings))
        yield model, looks(model, settings)
    bare = [(f"providers.{name}", Route(name, "")) for name in settings.providers if name in LABELS]
    bare += [(f"endpoints.{name}", Route("endpoint", "", name)) for name in settings.endpoints]
    for section, route in bare:
        if section not in seen and section != "providers.opencode":
            yield section, _looks(route, settings)


def _looks(route: Route, settings: Settings) -> Iterator[Look]:
    try:
        registry.create(route, settings)  # (1)
        if route.provider == RECORDED:
            yield Look("ok", "recorded answers; no model is asked")
            return
        yield _program(route, settings)  # (2)
        to = upstream(route, settings)  # (3)
        yield Look("ok", f"address and key are set ({section_of(route, settings)})")
        yield _known(route, listed(to, table_of(route, settings).api_version))  # (4), (5)
    except NotListed as problem:
        yield Look("ok", f"{_label(route)} answers; {problem.what}")
    except GatewrightError as error:
        yield _failed(error)


def _failed(error: GatewrightError) -> Look:
    return Look("FAIL", f"{error.what} [{error.code}]", error.why[:SHOWN], error.fix)


def _program(route: Route, settings: Settings) -> Look:
    found = installed.look(route.provider, settings)
    if not found.tried:
        return Look("ok", found.name)
    words = f"{found.name} {found.version or 'of unknown version'}"
    if found.version == found.tried:
        return Look("ok", words)
    return Look(
        "warn", words, why=f"this Gatewright was tried with {found.tried}",
        fix="It will mostly work; where it does not, install that version.",
    )  # fmt: skip


def _known(route: Route, names: tuple[str, ...]) -> Look:
    asked = asked_for(route)
    if not asked:
        return Look("ok", f"{_label(route)} answers, and lists {len(names)} models; no profile names one of them")
    if any(allows(asked, name) or name == f"{asked}:latest" for name in names):
        return Look("ok", f"{_label(route)} answers, and knows {asked}")
    close = get_close_matches(asked, names, n=NEAREST, cutoff=0.3) or list(names[:NEAREST])
    pull = f"; or fetch it: ollama pull {asked}" if route.provider == "ollama" else ""
    return Look(
        "FAIL", f"{_label(route)} does not list the model {asked} [GW-MODEL-MODEL]",
        why=f"it lists {len(names)} models", fix=f"Name another, for instance {', '.join(close)}{pull}.",
    )  # fmt: skip


def _label(route: Route) -> str:
    return f"the endpoint {route.endpoint}" if route.endpoint else LABELS[route.provider]


def _line(model: str, look: Look, *, as_json: bool) -> str:
    if as_json:
        return json.dumps({"model": model, **msgspec.to_builtins(look)}) + "\n"
    rest = "".join(f"        {name}: {text}\n" for name, text in (("why", look.why), ("fix", look.fix)) if text)
    return f"  {look.verdict:<5} {model}: {look.words}\n{rest}"
