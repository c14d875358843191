"""Arguments that miss the schema in a way that can mean only one thing, put right before they are checked; pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

_WHOLE_DIGITS: Final = 18  # of a number in a string; longer ones are no line numbers and no seconds


def repair(arguments: str, schema: Mapping[str, Any]) -> tuple[str, tuple[str, ...]]:
    """Mend JSON arguments by a tool's schema; tell which names it has not and were left out. Else they stay as is."""
    try:
        given = json.loads(arguments)
    except (ValueError, RecursionError):
        return arguments, ()
    if not isinstance(given, dict):
        return arguments, ()
    properties: Mapping[str, Any] = schema["properties"]
    if any(name not in given for name in schema.get("required", ())):
        return arguments, ()  # a name it has not may be a required one misspelt: that is for the model to say
    left_out = tuple(name for name in given if name not in properties)
    mended = {name: _fit(value, properties[name]) for name, value in given.items() if name in properties}
    return (arguments, ()) if mended == given else (json.dumps(mended), left_out)


def _fit(value: Any, schema: Mapping[str, Any]) -> Any:
    kind = schema.get("type")
    if kind == "array" and not isinstance(value, list):
        return _items(value, schema)
    if not isinstance(value, str):
        return value
    text = value.strip()
    if kind == "integer" and text.removeprefix("-").isdecimal() and text.isascii() and len(text) <= _WHOLE_DIGITS:
        return int(text)
    if kind == "boolean" and text.lower() in ("true", "false"):
        return text.lower() == "true"
    return value


def _items(value: Any, schema: Mapping[str, Any]) -> Any:
    """Make a list of a single item of the right kind, or of a string that is a JSON list."""
    if isinstance(value, str) and value.lstrip().startswith("["):
        try:
            listed = json.loads(value)
        except (ValueError, RecursionError):
            return value
        return listed if isinstance(listed, list) else value
    wanted = schema.get("items", {}).get("type")
    types = {"string": str, "integer": int, "object": dict}
    return [value] if wanted in types and type(value) is types[wanted] else value
