"""`gatewright models resolve` and `config check`: where models lead, and whether policy lets them be used."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec

from bot.endpoints.registry import listed, worker_settings
from bot.model.errors import GatewrightError, Refused, UsageError
from bot.model.profile import PHASES
from bot.model.routing import explain
from bot.residency import check_model, residency_of, route_of, stand_ins, unfit
from bot.settings import Settings
from bot.settings_file import load
from bot.terminal.models import Machine, profile_of


class Led(msgspec.Struct, frozen=True):
    """Where one model string leads; `phase` is empty where no profile was asked about, `code` where policy is fine."""

    phase: str
    model: str
    provider: str
    endpoint: str
    asks_for: str
    tier: str
    residency: str
    rule: str
    fallbacks: tuple[str, ...]
    is_allowed: bool
    code: str = ""
    why: str = ""
    fix: str = ""

    def told(self, settings: Settings) -> Iterator[str]:
        """Say it on one line, and on a second one where policy forbids it."""
        place = f", worked on in {self.residency}" if self.residency else ""
        others = f"; stand-ins: {', '.join(self.fallbacks)}" if self.fallbacks else ""
        head = f"{self.phase:<9} " if self.phase else ""
        yield f"{head}{explain(route_of(self.model, settings))}{place}{others}"
        if not self.is_allowed:
            yield f"{' ' * len(head)}refused [{self.code}]: {self.why}; {self.fix}"


def resolve(model: str, profile: str, config: Path | None, *, check: bool, as_json: bool, machine: Machine) -> int:
    """Print where a model string or each phase of a profile leads; `check` raises where it could not run here."""
    if bool(model) == bool(profile):
        raise UsageError(
            "GW-MODEL-FORM", "say what to resolve",
            fix="gatewright models resolve STRING, or --profile with a name of [profiles] or a file that ends in .json",
        )  # fmt: skip
    settings = worker_settings(config) if check else listed(load(config))
    found = tuple(_found(model, profile, settings))
    if check:
        for each in found:
            check_model(settings.policy, settings, each.model)
            machine.resolve(each.model, settings, check=True)
    if as_json:
        document = {"schema": "gatewright/models/v1", "profile": profile, "models": msgspec.to_builtins(found)}
        sys.stdout.write(json.dumps(document) + "\n")
        return 0
    for each in found:
        for line in each.told(settings):
            sys.stdout.write(line + "\n")
    return 0


def check_settings(config: Path | None) -> int:
    """Check a settings file, the profiles in it included; raises UsageError with every model that cannot be used."""
    settings = listed(load(config))
    if found := list(unfit(settings)):
        raise UsageError(
            found[0][1].code, "the profiles name models that cannot be used",
            why="\n".join(f"{place}: {error.what}" for place, error in found),
            fix=found[0][1].fix or found[0][1].why,
        )  # fmt: skip
    sys.stdout.write("The settings are usable.\n")
    return 0


def _found(model: str, profile: str, settings: Settings) -> Iterator[Led]:
    if model:
        yield led("", model, settings)
        return
    for phase in PHASES:
        yield led(phase, getattr(profile_of(profile, settings), phase), settings)


def led(phase: str, model: str, settings: Settings) -> Led:
    """Find where a model string leads; raises UsageError with the forms where it leads nowhere."""
    route = route_of(model, settings)
    refusal: GatewrightError | None = None
    try:
        check_model(settings.policy, settings, model)
    except Refused as error:
        refusal = error
    return Led(
        phase, model, route.provider, route.endpoint, route.model, route.tier.value, residency_of(route, settings),
        route.rule, stand_ins(settings.policy, settings, model), refusal is None,
        *((refusal.code, refusal.what, refusal.fix) if refusal else ()),
    )  # fmt: skip
