"""The driver's words, read once from command.toml."""

from __future__ import annotations

import tomllib
from functools import cache
from importlib.resources import files
from typing import Any, Final

import msgspec

from runners.providers.errors import ProviderError
from runners.providers.protocol import Cause, Request

SAID_MAX: Final = 8_000  # characters of an answer that is given back to be put right


@cache
def _all() -> dict[str, Any]:
    return tomllib.loads((files(__package__) / "command.toml").read_text("utf-8"))


def prompt(request: Request, said: str = "", fault: str = "") -> str:
    """Put together what the model is told; `fault` is what was wrong with `said`, its answer of the try before."""
    texts = _all()["prompt"]
    told: str = texts["system"].format(system=request.system, prompt=request.prompt).strip()
    if request.schema is not None:
        told += texts["schema"].format(schema=msgspec.json.encode(request.schema).decode()).rstrip()
    if fault:
        told += texts["again"].format(fault=fault, said=said[-SAID_MAX:]).rstrip()
    return told


def error(cause: Cause, label: str, *, why: str = "", model: str = "") -> ProviderError:
    """Make the error of a cause with its words and what to do."""
    texts = _all()
    what = texts["what"][cause.value].format(label=label, model=model)
    return ProviderError(cause, what, why=why, fix=texts["fix"][cause.value])
