"""A conversation with a server that takes no tools: they are described in words, and so is every call made; pure."""

from __future__ import annotations

import json
from collections.abc import Sequence

from runners.loop.prompts import say
from runners.loop.protocol import Call, Message, Prompt, Reply, Tool, Turn


def described(tools: Sequence[Tool]) -> str:
    """Tell a model of tools, and how to write a call of one."""
    lines = (json.dumps({"name": tool.name, "about": tool.about, "parameters": tool.parameters}) for tool in tools)
    return say("in_words", tools="\n".join(lines))


def in_words(messages: Sequence[Message]) -> list[Message]:
    """Write native calls and their replies as text; all replies to one turn are one message.

    Templates of models without tools mostly insist on user and assistant in turn.
    """
    said: list[Message] = []
    replies: list[Reply] = []
    for message in messages:
        if isinstance(message, Reply):
            replies.append(message)
            continue
        if replies:
            said.append(heard(replies))
            replies = []
        said.append(_spoken(message) if isinstance(message, Turn) else message)
    return [*said, heard(replies)] if replies else said


def heard(replies: Sequence[Reply]) -> Prompt:
    """Tell what came of calls that were written as text."""
    return Prompt("\n\n".join(say("result", name=reply.name, text=reply.text) for reply in replies))


def _spoken(turn: Turn) -> Turn:
    return Turn("\n".join(part for part in (turn.text, *map(_written, turn.calls)) if part), stop=turn.stop)


def _written(call: Call) -> str:
    return f'```json\n{{"name": {json.dumps(call.name)}, "arguments": {call.arguments or "{}"}}}\n```'
