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
from bot.model.state import Phase
from bot.settings import ProfileTable, Sandbox, Settings
from bot.terminal.offers import Offer, hints, offers

RECORDED: Final = "scripted:"
Overrides = Mapping[str, str]


class Machine(msgspec.Struct, frozen=True):
    """What the runners' half says of this machine; `bot` knows it by name only (cli.TARGETS).

    `resolve` raises where a model string could not run here; `why_no_jail` answers None where a jail can start.
    """

    resolve: Callable[..., str]
    why_no_jail: Callable[[Sandbox], str | None]


def choose(model: str, config: Path | None, machine: Machine) -> tuple[Overrides, str]:
    """Settle the models of `run` as settings, and say what they rest on; raises UsageError, never takes recordings."""
    settings = worker_settings(config)
    at_hand = offers()
    lent = lend(settings, at_hand)
    because = ""
    if model:
        chosen = profile(model)
    elif settings.providers or settings.endpoints or settings.profile != ProfileTable():
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
    for phase in Phase:
        model = getattr(settings.profile, phase.value)
        if model.startswith(RECORDED):
            raise UsageError(
                "GW-RUN-RECORDED", f"profile.{phase.value} names recorded answers ({model})",
                why="only `gatewright demo` plays recordings", fix="name a real model with --model or in [profile]",
            )  # fmt: skip
        try:
            machine.resolve(model, settings, check=True)
        except GatewrightError as error:
            raise UsageError(
                error.code, f"{error.what} (profile.{phase.value} = {model})", why=error.why, fix=error.fix
            ) from None
    if settings.sandbox.mode == "bwrap" and (why := machine.why_no_jail(settings.sandbox)):
        raise UsageError(
            "GW-SANDBOX-START", "the sandbox cannot start, and no real model works without it", why=why,
            fix="`gatewright doctor` checks everything; sandbox.mode says how to go without, at your own risk",
        )  # fmt: skip


def profile(model: str) -> dict[str, str]:
    """Use one model for all phases."""
    return {f"GATEWRIGHT_PROFILE__{phase.value.upper()}": json.dumps(model) for phase in Phase}


def _nothing() -> UsageError:
    nearly = [f"{hint.because}, and lacks: {hint.lacks}" for hint in hints()]
    return UsageError(
        "GW-RUN-NO-MODEL", "no model is configured",
        why="; ".join(nearly) or "`run` works with real models only, and none was found at hand",
        fix="set ANTHROPIC_API_KEY or OPENAI_API_KEY, or add an endpoint to gatewright.toml and name it with --model "
        "NAME:MODEL (docs/providers.md). `gatewright demo` needs no model.",
    )  # fmt: skip
