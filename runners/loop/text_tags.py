"""Calls written with tags, which look like XML and are not: values are raw, and their types stand in the tool; pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from runners.loop.text_values import Unclear, literal, whole

_DSML: Final = "(?:｜DSML｜)?"  # noqa: RUF001  as DeepSeek writes it
_PARAMETER: Final = re.compile(
    rf"\s*<{_DSML}param(?:eter)?(?:=(?P<bare>[\w.-]{{1,128}})|\s+name=\"(?P<name>[\w.-]{{1,128}})\")"
    r"(?:\s+string=\"(?P<string>true|false)\")?\s*>"
)
_NEXT: Final = re.compile(rf"<{_DSML}param(?:eter)?(?:=|\s+name=)")
_END: Final = re.compile(rf"</{_DSML}param(?:eter)?>")
_CLOSE: Final = re.compile(rf"\s*(?:</{_DSML}(?:function|invoke)>|(?=</tool_call>)|\Z)")
_OUTER: Final = re.compile(rf"</{_DSML}(?:function|invoke)>")
_PAIR: Final = re.compile(r"\s*<arg_key>([^<]{1,128})</arg_key>\s*<arg_value>")


def tagged_at(text: str, at: int, types: Mapping[str, str]) -> tuple[dict[str, Any], int]:
    """Read the parameters behind `<function=...>` or `<invoke name="...">`; raises Unclear."""
    found: dict[str, Any] = {}
    while (head := _PARAMETER.match(text, at)) is not None:
        name = head["bare"] or head["name"]
        if name in found:
            raise Unclear(f"{name} stands twice")
        raw, at = _raw(text, head.end())
        kind = "string" if head["string"] == "true" else types.get(name, "string")
        found[name] = typed(raw, "any" if head["string"] == "false" and kind == "string" else kind)
    close = _CLOSE.match(text, at)
    if close is None:
        raise Unclear("something else stands between the parameters")
    return found, close.end()


def _raw(text: str, at: int) -> tuple[str, int]:
    """Take a value up to its end tag; without one, up to that of the call, where that is the only way to read it."""
    end, outer, following = _END.search(text, at), _OUTER.search(text, at), _NEXT.search(text, at)
    last = len(text)
    ends, opens, closes = (found.start() if found else last for found in (end, following, outer))
    if end is not None and ends < min(opens, closes):
        return text[at:ends], end.end()
    if closes == last or opens < closes or ends < opens:
        raise Unclear("a parameter that has no end")
    return text[at:closes], closes


def pairs_at(text: str, at: int, types: Mapping[str, str]) -> tuple[dict[str, Any], int]:
    """Read `<arg_key>` and `<arg_value>` in turn up to `</tool_call>`; raises Unclear."""
    found: dict[str, Any] = {}
    while (head := _PAIR.match(text, at)) is not None:
        name, end = head[1].strip(), text.find("</arg_value>", head.end())
        if end < 0 or name in found:
            raise Unclear(f"{name} has no end, or stands twice")
        found[name] = typed(text[head.end() : end], types.get(name, "string"))
        at = end + len("</arg_value>")
    close = re.compile(r"\s*(?:</tool_call>|\Z)").match(text, at)
    if close is None:
        raise Unclear("something else stands between the arguments")
    return found, close.end()


def typed(raw: str, kind: str) -> Any:
    """Give a raw value the type that the tool wants; what does not have it stays a string, for the tool to refuse."""
    # One newline on each side belongs to the tags, all others to the value.
    text = raw[1:].removesuffix("\n") if raw.startswith("\n") else raw
    if kind == "string":
        return text
    for read in (whole, literal):
        try:
            return read(text.strip())
        except Unclear:
            continue
    lowered = text.strip().lower()
    return {"true": True, "false": False}.get(lowered, text) if kind == "boolean" else text
