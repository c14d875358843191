"""What the errors of Ollama mean and what to do, in the words all providers share; pure."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence
from difflib import get_close_matches
from functools import cache
from importlib.resources import files
from typing import Final

from runners.providers.errors import ProviderError
from runners.providers.protocol import Cause

LISTED: Final = 12  # models that are named where one is missing
_CONTEXT: Final = re.compile(r"context.{0,20}length|input length|too long", re.IGNORECASE)
_QUOTA: Final = re.compile(r"quota|billing|credit|usage limit", re.IGNORECASE)
_STATUS: Final = {
    401: Cause.AUTH, 402: Cause.QUOTA, 403: Cause.AUTH, 404: Cause.MODEL, 408: Cause.TIMEOUT, 429: Cause.RATE,
    504: Cause.TIMEOUT,
}  # fmt: skip


def plain(name: str) -> str:
    """Write a model's name in full, as Ollama compares it: without its own registry, and with a tag."""
    short = name.lower().removeprefix("registry.ollama.ai/").removeprefix("library/")
    return short if ":" in short.rpartition("/")[2] else f"{short}:latest"


def missing(name: str, there: Sequence[str]) -> ProviderError:
    """Say which models there are, the nearest first, and how to fetch the one that is not."""
    close = get_close_matches(name, there, n=LISTED, cutoff=0.3)
    ordered = [*close, *sorted(set(there) - set(close))]
    key = "more" if len(ordered) > LISTED else "near" if ordered else "none"
    why = text("why", key, names=", ".join(ordered[:LISTED]), count=len(ordered) - LISTED)
    return ProviderError(
        Cause.MODEL, text("what", "missing", model=name), why=why, fix=text("fix", "missing", model=name)
    )


def by_status(status: int, said: str) -> Cause:
    """Judge an HTTP status and what the body said; the gateway's own reading comes before this one."""
    if "GW-GATEWAY-MODEL" in said:
        return Cause.MODEL
    if "GW-GATEWAY-BUDGET" in said:
        return Cause.BUDGET
    if status in (400, 413, 500) and _CONTEXT.search(said):
        return Cause.CONTEXT
    if status == 429 and _QUOTA.search(said):
        return Cause.QUOTA
    return _STATUS.get(status, Cause.CRASH if status >= 500 else Cause.ANSWER)


def error(cause: Cause, model: str, why: str) -> ProviderError:
    """Make the error with the words of its cause."""
    key = cause.value if cause.value in _texts()["what"] else "answer"
    return ProviderError(cause, text("what", key, model=model), why=why, fix=text("fix", key, model=model))


@cache
def _texts() -> dict[str, dict[str, str]]:
    return tomllib.loads((files(__package__) / "ollama.toml").read_text("utf-8"))


def text(section: str, key: str, **values: object) -> str:
    """Fill in one text of ollama.toml."""
    return _texts()[section][key].format(**values)
