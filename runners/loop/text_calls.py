"""Calls that a model wrote as text because its server did not make native ones of them; pure.

The text is read once from left to right, and what a call holds is never looked into. Thinking is skipped, and a
closing tag without an opening one takes back what was found before it. Nothing is guessed: a call that cannot be read
in exactly one way ends the search, for what follows may be a piece of its arguments.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from itertools import zip_longest
from typing import Any, Final

import msgspec

from runners.loop.protocol import Call, Tool
from runners.loop.text_shapes import called, is_shallow, names_in
from runners.loop.text_tags import pairs_at, tagged_at
from runners.loop.text_values import Unclear, calls, json_at, value_at

MAX_PYTHONS: Final = 3  # pieces of one text that are parsed as Python, which is slow
MAX_FAULTS: Final = 20  # places of one text that look like a value and are none; each may cost a look at all of it

_NAME: Final = r"(?P<{}>[A-Za-z_][\w.:-]{{0,127}}+)"
_THOUGHT: Final = r"</(?:think|thinking|thought|reasoning|seed:think)>|\[/THINK\]|<\|END_THINKING\|>"
# The fullwidth bars are DeepSeek's own.
_BEFORE: Final = (
    r"\[TOOL_CALLS\]\s*|<\|tool_call_begin\|>\s*|<｜tool▁call▁begin｜>(?:function<｜tool▁sep｜>)?|<function=|"  # noqa: RUF001
    r"^Action:[ \t]*|<\|channel\|>commentary[^<\n]{0,40}?\bto=|<\|start\|>assistant[^<\n]{0,40}?\bto="
)
_BETWEEN: Final = (
    r"\[CALL_ID\]\w{1,64}(?:\[ARGS\])?|\[ARGS\]|<｜tool▁sep｜>|\n```json\n|<\|tool_call_argument_begin\|>|>|"  # noqa: RUF001
    r"\s{0,9}\nAction Input:[ \t]*(?:```\w*\n)?|"
    r"[^<\n]{0,60}(?:<\|channel\|>commentary[^<\n]{0,40})?(?:<\|constrain\|>\w{1,20})?<\|message\|>|"
)
_MARK: Final = re.compile(
    r"(?P<think><(?:think|thinking|thought|reasoning|seed:think)>|\[THINK\]|<\|START_THINKING\|>|<\|channel\|>analysis\b)"
    rf"|(?P<thought>{_THOUGHT})"
    r"|(?P<result>^Observation:|<tool_response>|\[TOOL_RESULTS\])"
    r"|(?P<fence>```[ \t]{0,9}(?P<language>[\w+-]{0,20}))|(?P<code>`[^`\n]+`)"
    rf"|(?P<named>(?:{_BEFORE}){_NAME.format('name')}(?:{_BETWEEN})\s{{0,99}}(?=\{{))"
    rf"|(?P<tagged><(?:｜DSML｜)?(?:function|invoke|tool)(?:=|\s+name=\"){_NAME.format('tag')}\"?\s*>)"  # noqa: RUF001
    rf"|(?P<paired><tool_call>\s*{_NAME.format('pair')}\s*(?=<arg_key>|</tool_call>))"
    r"|(?P<value>\{(?=\s*[\"'])|\[(?=\s*\{))",
    re.MULTILINE,
)
_ANALYSED: Final = re.compile(r"<\|end\|>|<\|start\|>|<\|channel\|>(?!analysis)")
_THINKING_ENDS: Final = re.compile(_THOUGHT)
_BLOCK_ENDS: Final = re.compile(rf"\n```|{_THOUGHT}")
_PARAGRAPH_ENDS: Final = re.compile(rf"\n\n|{_THOUGHT}")
_OPEN_FENCES: Final = frozenset({"", "json", "xml", "text", "tool_call", "tool_calls", "tool_code", "tool", "function"})
_CODE_FENCE: Final = "tool_code"  # Gemma's: Python calls, at times inside print()
_CODE: Final = re.compile(r"\s*+(?:print\(\s*+)?(?:default_api\.)?([A-Za-z_]\w{0,127})\(")
_OPENINGS: Final = ("<|python_tag|>", "<|tool_call_start|>", "<tool_call>")
_CLOSINGS: Final = ("<|tool_call_end|>", "</tool_call>", "<|eot_id|>", "<|eom_id|>", "<|im_end|>")
_BARE_CALL: Final = re.compile(r"\s*+(?:<\|?\w{1,20}\|?>\s*+)?\[?\s*+[A-Za-z_]\w{0,127}\(")

Tools = Mapping[str, Mapping[str, str]]


class TextCall(msgspec.Struct, frozen=True):
    """One call as it was understood; `arguments` is checked by nobody yet."""

    name: str
    arguments: dict[str, Any]


class Reading(msgspec.Struct, frozen=True):
    """What a text holds: calls in order, names that are no tools, and whether a call could not be read."""

    calls: tuple[TextCall, ...] = ()
    unknown: tuple[str, ...] = ()
    broken: bool = False


def find_calls(text: str, tools: Tools) -> list[TextCall]:
    """Find the calls of offered tools; `tools` names for each its parameters with their JSON types."""
    return list(read(text, tools).calls)


def read(text: str, tools: Tools) -> Reading:
    """Find calls, and what was meant to be one."""
    return _Reader(text, tools).read()


def parameter_types(tools: Sequence[Tool]) -> dict[str, dict[str, str]]:
    """Tell the types of parameters as `read` takes them."""
    return {
        tool.name: {name: str(schema.get("type", "any")) for name, schema in tool.parameters["properties"].items()}
        for tool in tools
    }


def as_calls(reading: Reading, turn: int) -> tuple[Call, ...]:
    """Make calls as the loop carries them out; `turn` tells those of one turn from those of another."""
    return tuple(
        Call(f"text_{turn}_{place}", call.name, json.dumps(call.arguments)) for place, call in enumerate(reading.calls)
    )


class _Reader:
    def __init__(self, text: str, tools: Tools) -> None:
        self._text = text
        self._tools = tools
        self._calls: list[TextCall] = []
        self._unknown: list[str] = []
        self._broken = False
        self._faults = 0
        self._fenced = False
        self._pythons = 0

    def read(self) -> Reading:
        at = self._python(0)
        while at is not None and self._faults < MAX_FAULTS and (mark := _MARK.search(self._text, at)) is not None:
            try:
                at = self._take(mark)
            except Unclear:
                self._broken = True
                at = self._after_thought(mark.end())
        if self._faults >= MAX_FAULTS:  # all that was found may have been thinking, whose end was not reached
            return Reading(broken=True)
        return Reading(tuple(self._calls), tuple(self._unknown), self._broken)

    def _take(self, mark: re.Match[str]) -> int | None:
        """Deal with one mark; tell where to go on, None for nowhere."""
        at: int | None = mark.end()
        match mark.lastgroup:
            case "think":
                at = self._thinking(mark)
            case "thought":
                self._forget()
                at = self._python(mark.end())
            case "result":
                at = self._after_thought(mark.end()) if self._calls else at
            case "fence":
                at = self._fence(mark)
            case "code":
                at = mark.start() + 1 if _THINKING_ENDS.search(mark[0]) else at
            case "value":
                at = self._value(mark.start())
            case _:
                at = self._call(mark)
        return at

    def _thinking(self, mark: re.Match[str]) -> int | None:
        closing = _ANALYSED if mark[0].startswith("<|channel") else _THINKING_ENDS
        end = closing.search(self._text, mark.end())
        if end is None:
            return None
        return self._python(end.start() if closing is _ANALYSED else end.end())

    def _after_thought(self, at: int) -> int | None:
        """Go on behind the thinking that a broken call was part of, if it was."""
        self._faults += MAX_FAULTS // 4  # each may have been parsed as Python, which is slow
        end = _THINKING_ENDS.search(self._text, at)
        if end is None:
            return None
        self._forget()
        return self._python(end.end())

    def _forget(self) -> None:
        self._calls.clear()
        self._unknown.clear()
        self._broken = self._fenced = False

    def _fence(self, mark: re.Match[str]) -> int | None:
        if self._fenced:
            self._fenced = False
            return mark.start() + len("```")
        if mark["language"].lower() == _CODE_FENCE and (end := self._code(mark.end())) is not None:
            return end
        if mark["language"].lower() in _OPEN_FENCES:
            self._fenced = True
            return mark.end()
        return self._skip(mark.end(), _BLOCK_ENDS)

    def _code(self, at: int) -> int | None:
        """Read a block of Python calls and tell where it ends, None where it does not begin like one."""
        block_end = _BLOCK_ENDS.search(self._text, at)
        end = block_end.start() if block_end else len(self._text)
        head = _CODE.match(self._text, at, end)
        if head is None:
            return None
        self._pythons += 1
        if self._pythons > MAX_PYTHONS:
            return end
        try:
            found = calls(self._text[at:end], wrapped=True)
        except Unclear:
            if self._offered(head[1]) is not None:
                raise
            return end
        for name, given, named in found:
            offered = self._offered(name)
            self._found(name, named if offered is None else self._placed(offered, given, named))
        return end + len("\n```") if block_end and block_end[0].startswith("\n") else end

    def _skip(self, at: int, to: re.Pattern[str]) -> int | None:
        """Pass over what is no call, but over no end of thinking."""
        end = to.search(self._text, at)
        if end is None:
            return None
        return end.end() if end[0].startswith("\n") else end.start()

    def _value(self, start: int) -> int | None:
        try:
            value, end = json_at(self._text, start)
        except Unclear:
            if not self._names_a_tool(start):
                self._faults += 1
                if self._fenced:
                    self._fenced = False
                    return self._skip(start, _BLOCK_ENDS)
                return self._skip(start, _PARAGRAPH_ENDS)
            value, end = value_at(self._text, start)
            if not called(value):
                raise
        for name, arguments in called(value):
            self._found(name, arguments)
        return end

    def _names_a_tool(self, start: int) -> bool:
        return any(self._offered(name) is not None for name in names_in(self._text, start))

    def _call(self, mark: re.Match[str]) -> int:
        name = mark["name"] or mark["tag"] or mark["pair"]
        offered = self._offered(name)
        types = self._tools[offered] if offered is not None else {}
        try:
            arguments, end = self._arguments(mark, types)
        except Unclear:
            if offered is not None:
                raise
            self._faults += 1
            return mark.end()
        self._found(name, arguments)
        return end

    def _arguments(self, mark: re.Match[str], types: Mapping[str, str]) -> tuple[dict[str, Any], int]:
        if mark["tag"]:
            return tagged_at(self._text, mark.end(), types)
        if mark["pair"]:
            return pairs_at(self._text, mark.end(), types)
        value, end = json_at(self._text, mark.end())
        if not isinstance(value, dict):
            raise Unclear("arguments that are no object")
        return value, end

    def _found(self, name: str, arguments: dict[str, Any]) -> None:
        offered = self._offered(name)
        if not is_shallow(arguments):
            raise Unclear("arguments nested too deeply")
        if offered is None:
            self._unknown.append(name)
        else:
            self._calls.append(TextCall(offered, arguments))

    def _offered(self, name: str) -> str | None:
        if name in self._tools:
            return name
        short = re.sub(r":\d{1,9}\Z", "", name.removeprefix("functions."))
        return short if short in self._tools else None

    def _python(self, at: int) -> int | None:
        """Read all that is left as Python calls where it is nothing else: Python is what answers hold, too."""
        self._pythons += 1
        if self._pythons > MAX_PYTHONS or not _BARE_CALL.match(self._text, at):
            return at
        piece = self._text[at:].strip()
        for opening, closing in zip_longest(_OPENINGS, _CLOSINGS, fillvalue=""):
            piece = piece.removeprefix(opening).removesuffix(closing).strip()
        try:
            found = calls(piece)
        except Unclear:
            return at
        if not found or not all(name in self._tools for name, _, _ in found):
            return at
        try:
            self._calls += [TextCall(name, self._placed(name, given, named)) for name, given, named in found]
        except Unclear:
            self._broken = True
        return None

    def _placed(self, name: str, given: Sequence[object], named: dict[str, Any]) -> dict[str, Any]:
        """Give arguments without a name theirs where a tool takes only one."""
        parameters = list(self._tools[name])
        if given and (len(given) > 1 or len(parameters) != 1 or named):
            raise Unclear("arguments without names")
        return dict(zip(parameters, given, strict=False)) | named
