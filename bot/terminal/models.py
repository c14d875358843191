"""Settle which models do the work, before anything is started or spent."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

import msgspec

from bot.endpoints.registry import worker_settings
from bot.model.errors import GatewrightError, UsageError
from bot.model.profile import PHASES, laid, phase_models
from bot.model.task import Profile
from bot.profiles import named_profile, server_profile
from bot.residency import check_model
from bot.settings import ProfileTable, Sandbox, Settings
from bot.settings_file import read_profile
from bot.terminal.offers import Offer, hints, offers

RECORDED: Final = "scripted:"
FILE: Final = ".json"  # ends what --profile reads, rather than looks up
DEFAULT: Final = "GATEWRIGHT_TRIGGER__PROFILE"
Overrides = Mapping[str, str]


class Machine(msgspec.Struct, frozen=True):
    """What the runners' half says of this machine; `bot` knows it by name only (cli.TARGETS).

    `resolve` raises where a model string could not run here; `why_no_jail` answers None where a jail can start.
    """

    resolve: Callable[..., str]
    why_no_jail: Callable[[Sandbox], str | None]


def choose(model: str, config: Path | None, machine: Machine, named: str = "") -> tuple[Overrides, str]:
    """Settle the models of `run` as settings, and say what they rest on; raises UsageError, never takes recordings."""
    settings = worker_settings(config)
    at_hand = offers()
    lent = lend(settings, at_hand)
    because = ""
    if model or named:
        chosen = picked(model, named, settings)
    elif settings.providers or settings.endpoints or settings.trigger.profile or settings.profile != ProfileTable():
        chosen = {}
    else:
        if not at_hand:
            raise _nothing()
        chosen, because = profile(at_hand[0].model), f"{at_hand[0].model}: {at_hand[0].because}"
    overrides = {**lent, **chosen}
    verify(worker_settings(config, {**os.environ, **overrides}), machine)
    return overrides, because


def lend(settings: Settings, at_hand: tuple[Offer, ...]) -> dict[str, str]:
    """Lend what is at hand to the tables that the settings say nothing of."""
    lent: dict[str, str] = {}
    for offer in at_hand:
        section, name = offer.table
        if name not in getattr(settings, section):
            lent |= offer.overrides
    return lent


def verify(settings: Settings, machine: Machine) -> None:
    """Check models and sandbox without network; raises UsageError that names the phase."""
    place = f"profiles.{settings.trigger.profile}" if settings.trigger.profile else "profile"
    for phase in PHASES:
        model = getattr(server_profile(settings), phase)
        if model.startswith(RECORDED):
            raise UsageError(
                "GW-RUN-RECORDED", f"{place}.{phase} names recorded answers ({model})",
                why="only `gatewright demo` plays recordings", fix="name a real model with --model or in [profile]",
            )  # fmt: skip
        try:
            check_model(settings.policy, settings, model)
            machine.resolve(model, settings, check=True)
        except GatewrightError as error:
            raise UsageError(
                error.code, f"{error.what} ({place}.{phase} = {model})", why=error.why, fix=error.fix
            ) from None
    if settings.sandbox.mode == "bwrap" and (why := machine.why_no_jail(settings.sandbox)):
        raise UsageError(
            "GW-SANDBOX-START", "the sandbox cannot start, and no real model works without it", why=why,
            fix="`gatewright doctor` checks everything; sandbox.mode says how to go without, at your own risk",
        )  # fmt: skip


def profile(model: str) -> dict[str, str]:
    """Use one model for all phases."""
    return _phases(dict.fromkeys(PHASES, model))


def picked(model: str, named: str, settings: Settings) -> dict[str, str]:
    """Use what --model or --profile says, as settings; raises UsageError where it is both, or names nothing."""
    if model and named:
        raise UsageError(
            "GW-RUN-MODELS", "--model and --profile say two things", fix="leave one of them out",
        )  # fmt: skip
    if model:
        return profile(model)
    if named.endswith(FILE):
        return _phases(phase_models(read_profile(Path(named)), named))
    named_profile(settings, named)  # raises where there is none
    return {DEFAULT: json.dumps(named)}


def profile_of(named: str, settings: Settings) -> Profile:
    """Find a profile of the settings by its name, or read it from a file whose name ends in .json."""
    if named.endswith(FILE):
        return laid(phase_models(read_profile(Path(named)), named), Profile(**msgspec.structs.asdict(settings.profile)))
    return named_profile(settings, named)


def _phases(models: Mapping[str, str]) -> dict[str, str]:
    """Spell models as settings; a default profile would win over them."""
    spelled = {f"GATEWRIGHT_PROFILE__{phase.upper()}": json.dumps(model) for phase, model in models.items()}
    return {DEFAULT: "", **spelled}


def _nothing() -> UsageError:
    nearly = [f"{hint.because}, and lacks: {hint.lacks}" for hint in hints()]
    return UsageError(
        "GW-RUN-NO-MODEL", "no model is configured",
        why="; ".join(nearly) or "`run` works with real models only, and none was found at hand",
        fix="set ANTHROPIC_API_KEY or OPENAI_API_KEY, or add an endpoint to gatewright.toml and name it with --model "
        "NAME:MODEL (docs/providers.md). `gatewright demo` needs no model.",
    )  # fmt: skip
