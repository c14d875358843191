"""The loop's words, read once from prompts.toml."""

from __future__ import annotations

import tomllib
from functools import cache
from importlib.resources import files
from typing import Any


@cache
def _all() -> dict[str, Any]:
    return tomllib.loads((files(__package__) / "prompts.toml").read_text("utf-8"))


def say(key: str, **values: object) -> str:
    """Fill in one text of the loop."""
    text: str = _all()["loop"][key]
    return text.format(**values)


def about(tool: str) -> dict[str, str]:
    """Describe a tool: `about`, and every parameter by its name."""
    texts: dict[str, str] = _all()["tools"][tool]
    return texts
