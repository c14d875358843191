"""The gateway's words for people, read once from failures.toml."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any

from runners.providers.errors import ProviderError
from runners.providers.protocol import Cause


@cache
def _all() -> dict[str, Any]:
    return tomllib.loads((files(__package__) / "failures.toml").read_text("utf-8"))


def error(
    key: str, cause: Cause, provider: str = "", *, dialect: str = "", why: str = "", code: str = "",
    values: Mapping[str, object] | None = None,
) -> ProviderError:  # fmt: skip
    """Make the error with the words of `key`; `provider` is what the settings call it, or an endpoint."""
    texts = _all()
    known = provider in texts["apis"]
    place: dict[str, object] = {
        "api": texts["apis"][provider] if known else f"the endpoint {provider}",
        "table": f"{'providers' if known else 'endpoints'}.{provider}",
        **(values or {}),
    }
    fixes = texts["fix"]
    fix: str = fixes.get(dialect, {}).get(key) or fixes[key]
    return ProviderError(cause, texts["what"][key].format(**place), why=why, fix=fix.format(**place), code=code)


def turns_error(turns: int) -> ProviderError:
    """Say that a run had all of its turns."""
    return error("turns", Cause.BUDGET, values={"turns": turns})


def failed_words(what: str) -> str:
    """Say to an agent that its run has failed."""
    words: str = _all()["failed"]
    return words.format(what=what)


def budget_words(scope: str, unit: str, **values: str) -> tuple[str, str]:
    """Say which budget allows no further call, and how to go on; `unit` is a key of [budget]."""
    texts = _all()
    what: str = texts["budget"][unit].format(scope=texts["scope"][scope], **values)
    fix: str = texts["more"][unit if unit in texts["more"] else scope].format(scope=scope, unit=unit)
    return what, fix
