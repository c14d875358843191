"""A structured answer: found in what a model said, and held against its schema; pure."""

from __future__ import annotations

import json
import re
from typing import Any, Final

from runners.loop.errors import ToolFault

_FENCE: Final = re.compile(r"^```[\w-]*[ \t]*\n(.*?)^```", re.DOTALL | re.MULTILINE)


def parse(text: str, schema: dict[str, Any]) -> dict[str, Any]:
    """Take the JSON object out of an answer, bare or fenced; raises ToolFault with what is wrong with it."""
    from jsonschema import Draft202012Validator  # noqa: PLC0415  80 ms of CPU, and only runs with a schema need it
    from jsonschema.exceptions import best_match  # noqa: PLC0415

    value = _value(text)
    fault = best_match(Draft202012Validator(schema).iter_errors(value))
    if fault is not None:
        raise ToolFault(f"{fault.json_path}: {fault.message[:500]}")
    if not isinstance(value, dict):
        raise ToolFault("it must be a JSON object.")
    return value


def _value(text: str) -> object:
    pieces = list(reversed(_FENCE.findall(text))) or [text, text[text.find("{") : text.rfind("}") + 1]]
    faults: list[Exception] = []
    for piece in pieces:
        try:
            return json.loads(piece, parse_constant=_constant, object_pairs_hook=_pairs)
        except (ValueError, RecursionError) as error:
            faults.append(error)
    raise ToolFault(f"it is not JSON: {faults[0]}.")


def _constant(name: str) -> None:
    raise ValueError(f"{name} is not a JSON value")


def _pairs(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """Refuse what says a thing twice: which of two verdicts holds must not depend on the parser."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key stands twice in one object")
    return found
