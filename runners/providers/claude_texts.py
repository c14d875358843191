"""The Claude provider's words, read once from claude.toml."""

from __future__ import annotations

import tomllib
from functools import cache
from importlib.resources import files
from typing import Any

from runners.providers.errors import ProviderError
from runners.providers.protocol import Cause


@cache
def _all() -> dict[str, Any]:
    return tomllib.loads((files(__package__) / "claude.toml").read_text("utf-8"))


def reminder() -> str:
    """What the model is told when it ended without its structured answer."""
    text: str = _all()["remind"]
    return text.strip()


def error(cause: Cause, *, why: str = "", **values: object) -> ProviderError:
    """Make the error of a cause with its words and what to do."""
    texts = _all()
    return ProviderError(cause, texts["what"][cause.value].format(**values), why=why, fix=texts["fix"][cause.value])
