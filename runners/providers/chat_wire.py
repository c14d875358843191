"""The chat completions wire: messages and tools out, a turn put together from its deltas; pure."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from runners.loop.protocol import Call, Message, Prompt, Reply, Stop, System, Tool, Turn
from runners.providers.chat_errors import FIXES, Cut
from runners.providers.errors import ProviderError
from runners.providers.protocol import Cause

if TYPE_CHECKING:
    from openai.types.chat import ChatCompletionChunk

_STOPS: Final = {"length": Stop.LENGTH, "content_filter": Stop.FILTER}
_FAILED: Final = "error"  # as OpenRouter ends a stream whose vendor broke off


def wire_messages(messages: Sequence[Message]) -> list[dict[str, Any]]:
    """Write a conversation as the API takes it."""
    return [_message(message) for message in messages]


def _message(message: Message) -> dict[str, Any]:
    match message:
        case System(text):
            return {"role": "system", "content": text}
        case Prompt(text):
            return {"role": "user", "content": text}
        case Reply(call_id, _, text):
            return {"role": "tool", "tool_call_id": call_id, "content": text}
        case Turn(text, calls):
            said: dict[str, Any] = {"role": "assistant", "content": text or None if calls else text}
            return said | {"tool_calls": [_call(call) for call in calls]} if calls else said


def _call(call: Call) -> dict[str, Any]:
    return {
        "id": call.id, "type": "function",
        "function": {"name": call.name, "arguments": call.arguments if _is_object(call.arguments) else "{}"},
    }  # fmt: skip


def _is_object(arguments: str) -> bool:
    """Tell whether arguments may be sent back: several servers answer 500 to what they cannot parse."""
    try:
        return isinstance(json.loads(arguments), dict)
    except (ValueError, RecursionError):
        return False


def wire_tools(tools: Sequence[Tool]) -> list[dict[str, Any]]:
    """Write tools as the API takes them."""
    return [
        {"type": "function", "function": {"name": tool.name, "description": tool.about, "parameters": tool.parameters}}
        for tool in tools
    ]


class _Pending:
    def __init__(self, call_id: str) -> None:
        self.id = call_id
        self.name = ""
        self.arguments: list[str] = []


class Assembly:
    """A turn in the making; `prefix` makes ids for calls of servers that give none."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix
        self._text: list[str] = []
        self._refusal: list[str] = []
        self._calls: list[_Pending] = []
        self._places: dict[int, int] = {}  # index on the wire -> place in _calls
        self._finish = ""
        self._model = ""

    @property
    def ended(self) -> bool:
        """Tell whether the model said that it had finished; without it the stream was cut, [DONE] or not.

        Proxies end their streams with [DONE] also where the server behind them went away.
        """
        return bool(self._finish)

    def add(self, chunk: ChatCompletionChunk) -> None:
        """Take in one chunk; servers differ in which fields they leave out. Raises Cut where one says it broke off."""
        self._model = chunk.model or self._model
        for choice in chunk.choices or ():
            self._finish = choice.finish_reason or self._finish
            if self._finish == _FAILED:
                raise Cut("the stream ended with an error")
            delta: Any = choice.delta  # the SDK's types promise what not every server sends
            if delta is None:
                continue
            self._text.append(_words(delta.content))
            self._refusal.append(_words(delta.refusal))
            for call in delta.tool_calls or ():
                self._call(call)

    def turn(self) -> Turn:
        """Close the turn; raises ProviderError where the model refused."""
        refusal = "".join(self._refusal)
        if refusal and not self._calls:
            raise ProviderError(
                Cause.REFUSAL, "the model refused to do this", why=refusal[:500], fix=FIXES[Cause.REFUSAL]
            )
        calls = tuple(
            Call(_clean(call.id) or f"{self._prefix}_{place}", _clean(call.name), _clean("".join(call.arguments)))
            for place, call in enumerate(self._calls)
        )
        return Turn(_clean("".join(self._text)), calls, _STOPS.get(self._finish, Stop.END), self._model)

    def _call(self, delta: Any) -> None:
        pending = self._pending(delta.index, delta.id or "")
        function = delta.function
        if function is None:
            return
        pending.name = pending.name or function.name or ""
        arguments = function.arguments
        if arguments:
            pending.arguments.append(arguments if isinstance(arguments, str) else json.dumps(arguments))

    def _pending(self, index: int | None, call_id: str) -> _Pending:
        """Find the call a delta belongs to: by index, save where a server numbers all of them alike."""
        place = self._places.get(index) if index is not None else None
        if place is None and index is None and not call_id and self._calls:
            place = len(self._calls) - 1
        if place is not None and (not call_id or self._calls[place].id in ("", call_id)):
            self._calls[place].id = self._calls[place].id or call_id
            return self._calls[place]
        self._calls.append(_Pending(call_id))
        if index is not None:
            self._places[index] = len(self._calls) - 1
        return self._calls[-1]


def _words(content: Any) -> str:
    return content if isinstance(content, str) else ""


def _clean(text: str) -> str:
    """Replace lone surrogates: JSON can escape them, but nothing can encode them when the turn is sent back."""
    return text.encode(errors="replace").decode()
