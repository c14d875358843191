"""The [policy] table of a repository's `.gatewright.toml`; whatever cannot be read means no."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from bot.model.errors import GatewrightError
from bot.model.policy import Policy

FILE: Final = ".gatewright.toml"
LIMIT: Final = 64 * 1024  # bytes


class PolicyFileError(GatewrightError):
    """A repository's policy that cannot be taken as written; nothing is decided until it is mended."""

    def __init__(self, what: str, why: str) -> None:
        super().__init__(
            "GW-POLICY-FILE", what, why=why, fix=f"mend [policy] in {FILE} on the branch it is read from; "
            "docs/configuration.md lists its keys",
        )  # fmt: skip


def policy_table(raw: bytes) -> dict[str, Any]:
    """Read [policy] out of a `.gatewright.toml`, empty where it has none; raises PolicyFileError with line or key.

    Other tables of the file are not looked at.
    """
    table = whole(raw).get("policy", {})
    if not isinstance(table, dict):
        raise PolicyFileError(f"policy in {FILE} is no table", "write it as [policy]")
    asked(table)
    return table


def whole(raw: bytes) -> dict[str, Any]:
    """Read a `.gatewright.toml` as TOML; raises PolicyFileError with the line."""
    if len(raw) > LIMIT:
        raise PolicyFileError(f"{FILE} is too large", f"{len(raw)} bytes; at most {LIMIT} are read")
    try:
        return tomllib.loads(raw.decode("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise PolicyFileError(f"{FILE} is not valid TOML", str(error)) from None
    except RecursionError:
        raise PolicyFileError(f"{FILE} is not valid TOML", "nested too deeply") from None


def asked(table: Mapping[str, Any]) -> Policy:
    """Read a [policy] table by its types, defaults for what it lacks; raises PolicyFileError with the key."""
    try:
        return msgspec.convert(dict(table), Policy)
    except msgspec.ValidationError as error:
        why, _, place = str(error).partition(" - at `$")
        key = f"policy{place.rstrip('`')}"
        raise PolicyFileError(f"{key} in {FILE} is not usable", why) from None
