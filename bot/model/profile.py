"""Profiles as people choose them: by name, as `phase=model` pairs, as a table, or as JSON; pure."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from typing import Any, Final

import msgspec

from bot.model.errors import UsageError
from bot.model.state import Phase
from bot.model.task import Profile

PHASES: Final = tuple(phase.value for phase in Phase)
NAME: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,38}")
MODEL_LIMIT: Final = 200  # characters of a model string
FILE_LIMIT: Final = 64 * 1024  # bytes
KEY: Final = "phaseModels"
_FORM: Final = '{"phaseModels": {"spec": "sonnet", "coding": "ollama:qwen3:14b"}}'


class Choice(msgspec.Struct, frozen=True):
    """What somebody chose: a profile by its name, or models for some phases; nothing of both is no choice."""

    name: str = ""
    models: dict[str, str] = {}

    @property
    def is_made(self) -> bool:
        """Tell whether anything was chosen."""
        return bool(self.name or self.models)


def said(words: str) -> Choice:
    """Read what follows `model` in a command: one name, or pairs; raises UsageError with the form."""
    parts = words.split()
    if len(parts) == 1 and "=" not in parts[0] and parts[0] not in PHASES:
        return Choice(name=parts[0].lower())
    models: dict[str, str] = {}
    for part in parts:
        phase, _, model = part.partition("=")
        if phase not in PHASES or phase in models or not is_model(model):
            break
        models[phase] = model
    if not models or len(models) != len(parts):
        raise UsageError(
            "GW-MODEL-FORM", "that names no phase and model",
            fix=f"say the name of a profile, or one <phase>=<model> for each phase to change, of {', '.join(PHASES)}",
        )  # fmt: skip
    return Choice(models=models)


def asked(value: Any, where: str) -> Choice:
    """Read `profile` of a repository's file: a name, or a table of phases; raises UsageError naming the key."""
    if isinstance(value, str):
        return Choice(name=value.lower())
    if not isinstance(value, dict):
        raise UsageError(
            "GW-PROFILE-FILE", f"profile in {where} is neither a name nor a table",
            fix='write profile = "NAME" above all tables, or a table [profile] of phases',
        )  # fmt: skip
    return Choice(models=_models(value, f"[profile] in {where}"))


def phase_models(raw: bytes, where: str) -> dict[str, str]:
    """Read the JSON form of a profile, phase by phase; raises UsageError with what is wrong in it."""
    if len(raw) > FILE_LIMIT:
        raise _unreadable(where, f"{len(raw)} bytes; at most {FILE_LIMIT} are read")
    try:
        found = json.loads(raw.decode("utf-8"), object_pairs_hook=_once)
    except (ValueError, RecursionError) as error:  # of JSON, of UTF-8, and of keys that stand there twice
        raise _unreadable(where, str(error) or "nested too deeply") from None
    if not isinstance(found, dict) or list(found) != [KEY] or not isinstance(found[KEY], dict):
        raise _unreadable(where, f"it has to be one object with the one key {KEY}")
    models = _models(found[KEY], f"{KEY} in {where}")
    if not models:
        raise _unreadable(where, f"{KEY} names no phase")
    return models


def laid(models: Mapping[str, str], under: Profile) -> Profile:
    """Lay models of some phases over a profile; an empty string leaves its phase alone."""
    return msgspec.structs.replace(under, **{phase: model for phase, model in models.items() if model})


def is_model(text: str) -> bool:
    """Tell whether a text could be a model string at all; whether it leads anywhere is another matter."""
    return 0 < len(text) <= MODEL_LIMIT and text.isprintable() and not any(each.isspace() for each in text)


def unknown(name: str, known: Collection[str]) -> UsageError:
    """Say that there is no profile of a name, and which there are."""
    there = f"there are: {', '.join(sorted(known))}" if known else "the server's settings name none"
    return UsageError(
        "GW-PROFILE-UNKNOWN", f"there is no profile {ascii(name)[1:-1][:60]}", why=there,
        fix="name one of them; an operator adds others as [profiles.NAME]",
    )  # fmt: skip


def _models(table: Mapping[str, Any], where: str) -> dict[str, str]:
    for phase, model in table.items():
        if phase not in PHASES:
            raise UsageError(
                "GW-PROFILE-FILE", f"{where} names the phase {ascii(phase)[1:-1][:60]}, which there is not",
                fix=f"the phases are {', '.join(PHASES)}",
            )  # fmt: skip
        if not isinstance(model, str) or not is_model(model):
            raise UsageError(
                "GW-PROFILE-FILE", f"{phase} of {where} is no model string",
                fix='write one as in "sonnet"; docs/providers.md lists the forms',
            )  # fmt: skip
    return dict(table)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key stands there twice")
    return found


def _unreadable(where: str, why: str) -> UsageError:
    return UsageError("GW-PROFILE-FILE", f"{where} is no profile", why=why, fix=f"write it as in {_FORM}")
