"""The profiles of the settings: the server's default, and those that tasks choose by name."""

from __future__ import annotations

import msgspec

from bot.model.profile import PHASES, Choice, laid, unknown
from bot.model.task import Profile
from bot.settings import Settings


def server_profile(settings: Settings) -> Profile:
    """Name the models of tasks that choose nothing."""
    return named_profile(settings, settings.trigger.profile) if settings.trigger.profile else _plain(settings)


def named_profile(settings: Settings, name: str) -> Profile:
    """Find a profile by its name, phases that it leaves out as in [profile]; raises UsageError with those there are."""
    if name not in settings.profiles:
        raise unknown(name, settings.profiles)
    said = settings.profiles[name]
    return laid({phase: getattr(said, phase) for phase in PHASES}, _plain(settings))


def chosen(settings: Settings, choice: Choice, under: Profile) -> Profile:
    """Carry a choice out: a name replaces a profile, models of phases are laid over it; raises UsageError."""
    return named_profile(settings, choice.name) if choice.name else laid(choice.models, under)


def keys_of(settings: Settings) -> dict[str, str]:
    """List the models that tasks can get by these settings, each by its key; [profile] only where it is used."""
    found: dict[str, str] = {}
    for name in dict.fromkeys((settings.trigger.profile, *settings.profiles)):
        profile = named_profile(settings, name) if name else _plain(settings)
        for phase in PHASES:
            is_own = bool(name) and bool(getattr(settings.profiles[name], phase))
            found[f"profiles.{name}.{phase}" if is_own else f"profile.{phase}"] = getattr(profile, phase)
    return found


def _plain(settings: Settings) -> Profile:
    return Profile(**msgspec.structs.asdict(settings.profile))
