"""Known servers, with where they are and whether they want a key."""

from __future__ import annotations

import tomllib
from difflib import get_close_matches
from functools import cache
from importlib.resources import files

import msgspec

from bot.model.errors import UsageError


class Preset(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One server; `needs_key` is false where it asks for a key only if it was started so."""

    base_url: str
    needs_key: bool
    about: str


@cache
def presets() -> dict[str, Preset]:
    """Read presets.toml."""
    return msgspec.convert(tomllib.loads((files(__package__) / "presets.toml").read_text("utf-8")), dict[str, Preset])


def preset(name: str) -> Preset:
    """Find one; raises UsageError with those there are."""
    known = presets()
    if name in known:
        return known[name]
    near = get_close_matches(name.lower(), known, n=1)
    raise UsageError(
        "GW-ENDPOINT-PRESET", f"there is no preset {ascii(name)[:80]}", why=f"there are: {', '.join(known)}",
        fix=f"did you mean {near[0]}?" if near else "leave --preset out and name the base URL",
    )  # fmt: skip
