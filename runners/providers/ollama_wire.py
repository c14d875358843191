"""Ollama's chat wire (https://docs.ollama.com/api/chat): messages out, a turn put together from lines; pure."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final

import msgspec

from runners.loop.protocol import Call, Message, Prompt, Reply, Stop, System, Tool, Turn

STOPS: Final = {"length": Stop.LENGTH}


def wire_messages(messages: Sequence[Message]) -> list[dict[str, Any]]:
    """Write a conversation as the API takes it; arguments go as objects, what was thought goes back."""
    return [_message(message) for message in messages]


def _message(message: Message) -> dict[str, Any]:
    match message:
        case System(text):
            return {"role": "system", "content": text}
        case Prompt(text):
            return {"role": "user", "content": text}
        case Reply(call_id, name, text):
            return {"role": "tool", "tool_name": name, "tool_call_id": call_id, "content": text}
        case Turn(text, calls):
            said: dict[str, Any] = {"role": "assistant", "content": text}
            said |= {"thinking": message.thought} if message.thought else {}
            return said | {"tool_calls": [_call(call) for call in calls]} if calls else said


def _call(call: Call) -> dict[str, Any]:
    try:
        arguments = json.loads(call.arguments)
    except (ValueError, RecursionError):
        arguments = {}
    return {
        "id": call.id,
        "function": {"name": call.name, "arguments": arguments if isinstance(arguments, dict) else {}},
    }


def wire_tools(tools: Sequence[Tool]) -> list[dict[str, Any]]:
    """Write tools as the API takes them."""
    return [
        {"type": "function", "function": {"name": tool.name, "description": tool.about, "parameters": tool.parameters}}
        for tool in tools
    ]


class _Function(msgspec.Struct):
    name: str = ""
    arguments: Any = None


class _ToolCall(msgspec.Struct):
    id: str | None = None
    function: _Function | None = None


class _Said(msgspec.Struct):
    content: str | None = None
    thinking: str | None = None
    tool_calls: list[_ToolCall] | None = None


class _Line(msgspec.Struct):
    model: str = ""
    message: _Said | None = None
    done: bool = False
    done_reason: str | None = None
    prompt_eval_count: int | None = None
    eval_count: int | None = None
    error: Any = None


_LINE: Final = msgspec.json.Decoder(_Line)


class Broken(Exception):
    """A line that is none, or that says that the server broke off."""


class Assembly:
    """A turn in the making; calls come whole, but in any number of lines."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self._text: list[str] = []
        self._thought: list[str] = []
        self._calls: list[Call] = []
        self._model = ""
        self._why = ""
        self.ended = False
        self.prompt_tokens = 0  # 0: not said
        self.answer_tokens = 0

    def add(self, line: bytes) -> None:
        """Take in one line; raises Broken."""
        try:
            read = _LINE.decode(line)
        except msgspec.MsgspecError as fault:
            raise Broken(f"a line is not readable: {fault}") from fault
        if read.error is not None:
            raise Broken(str(read.error)[:500])
        self._model = read.model or self._model
        if read.message is not None:
            self._say(read.message)
        if read.done:
            self.ended = True
            self._why = read.done_reason or ""
            self.prompt_tokens = max(0, read.prompt_eval_count or 0)
            self.answer_tokens = max(0, read.eval_count or 0)

    def turn(self) -> Turn:
        """Close the turn."""
        text, thought = _clean("".join(self._text)), _clean("".join(self._thought))
        return Turn(text, tuple(self._calls), STOPS.get(self._why, Stop.END), self._model, thought)

    def _say(self, said: _Said) -> None:
        self._text.append(said.content or "")
        self._thought.append(said.thinking or "")
        for call in said.tool_calls or ():
            function = call.function or _Function()
            given = function.arguments
            arguments = given if isinstance(given, str) else json.dumps({} if given is None else given)
            place = f"{self._prefix}_{len(self._calls)}"
            self._calls.append(Call(_clean(call.id or place), _clean(function.name), _clean(arguments)))


def _clean(text: str) -> str:
    """Replace lone surrogates, which nothing can encode when the turn is sent back."""
    return text.encode(errors="replace").decode()
