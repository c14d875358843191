"""What a call looks like as a value: the keys under which models put its name and its arguments; pure."""

from __future__ import annotations

import re
from typing import Any, Final

from runners.loop.text_values import Unclear, whole

MAX_DEPTH: Final = 60  # of arguments
HEAD: Final = 400  # characters in which a broken value must name a tool to count as a broken call
_NAMES: Final = ("name", "tool_name", "tool", "function")
_ARGUMENTS: Final = ("arguments", "parameters", "args", "input")
_WRAPPERS: Final = ("function", "function_call", "tool_call", "tool_calls")
_CALLED: Final = re.compile(rf"[\"'](?:{'|'.join(_NAMES)})[\"']\s{{0,9}}:\s{{0,9}}[\"']([^\"']{{1,128}})[\"']")


def names_in(text: str, start: int) -> list[str]:
    """List what is named like a tool near the start of a value that could not be read."""
    return _CALLED.findall(text, start, start + HEAD)


def called(value: object, depth: int = 0) -> list[tuple[str, dict[str, Any]]]:
    """Tell which calls a value is; what is no call in every part is none."""
    if depth > 3:
        return []
    if isinstance(value, list):
        each = [called(item, depth + 1) for item in value]
        return [call for found in each for call in found] if all(each) else []
    if not isinstance(value, dict):
        return []
    inner = [value[key] for key in _WRAPPERS if isinstance(value.get(key), dict | list)]
    if len(inner) == 1:
        return called(inner[0], depth + 1)
    names = [value[key] for key in _NAMES if isinstance(value.get(key), str)]
    given = [value[key] for key in _ARGUMENTS if key in value]
    if len(names) != 1 or len(given) != 1:
        return []
    arguments = _object(given[0])
    return [(names[0], arguments)] if arguments is not None else []


def is_shallow(value: object, depth: int = 0) -> bool:
    """Tell whether arguments can be written as JSON again: reading is less bound by the stack than writing."""
    if depth > MAX_DEPTH:
        return False
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return all(is_shallow(item, depth + 1) for item in inner)


def _object(given: object) -> dict[str, Any] | None:
    if isinstance(given, str):
        try:
            given = whole(given)
        except Unclear:
            return None
    return given if isinstance(given, dict) else None
