"""What was said so far, kept inside what the model can read: the oldest tool outputs go first; pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from runners.loop.excerpt import bounded
from runners.loop.prompts import say
from runners.loop.protocol import Message, Prompt, Reply, System, Turn

BYTES_PER_TOKEN: Final = 3  # of code and English; a low guess, so that what seems to fit does fit
FOR_INPUT: Final = 0.75  # of the context; the rest is for the answer and for what the tools' schemas take
DOWN_TO: Final = 0.75  # of the room; dropping a little more at once leaves a server's prompt cache alone for longer
WORTH: Final = 300  # bytes; what is smaller than this is not worth the sentence that takes its place


class Memory:
    """One conversation; `context` is how many tokens the model can read, 0 where that is not known."""

    def __init__(self, first: Sequence[Message], context: int = 0) -> None:
        self.messages: list[Message] = list(first)
        self._outputs: list[int] = []  # places of tool outputs that are still whole
        self._turn: int | None = None  # place of the newest turn
        self._room = int(context * FOR_INPUT * BYTES_PER_TOKEN)
        self._size = sum(map(_size, self.messages))

    def add(self, message: Message, *, output: bool = False) -> None:
        """Take in what was said; only outputs of tools may be dropped later.

        Of what a model thought only the latest is kept: that is the work it is in the middle of.
        """
        if isinstance(message, Turn):
            self._forget_thoughts()
            self._turn = len(self.messages)
        if output:
            self._outputs.append(len(self.messages))
        self.messages.append(message)
        self._size += _size(message)

    def instruct(self, more: str) -> None:
        """Add to the standing instructions."""
        first = self.messages[0]
        if not isinstance(first, System):
            raise TypeError("a conversation begins with its standing instructions")
        self.messages[0] = System(first.text + more)
        self._size += len(more.encode())

    def fits(self) -> bool:
        """Tell whether the conversation is inside its room."""
        return not self._room or self._size <= self._room

    def fit(self) -> bool:
        """Drop the oldest outputs where there is more than the room holds; tell whether any was."""
        return not self.fits() and self._drop(int(self._room * DOWN_TO))

    def shrink(self) -> bool:
        """Make do with half after the model's server said that it was too much; tell whether anything was dropped."""
        self._room = self._size // 2
        return self._drop(self._room)

    def _forget_thoughts(self) -> None:
        before = self.messages[self._turn] if self._turn is not None else None
        if self._turn is not None and isinstance(before, Turn) and before.thought:
            self._size -= len(before.thought.encode(errors="replace"))
            self.messages[self._turn] = msgspec.structs.replace(before, thought="")

    def _drop(self, target: int) -> bool:
        dropped = False
        while self._size > target and len(self._outputs) > 1:
            place = self._outputs.pop(0)
            message = self.messages[place]
            size = _size(message)
            if isinstance(message, Prompt | Reply) and size >= WORTH:
                said = msgspec.structs.replace(message, text=say("dropped", size=f"{size:,}"))
                self.messages[place] = said
                self._size += _size(said) - size
                dropped = True
        return self._cut(target) or dropped

    def _cut(self, target: int) -> bool:
        """Cut the newest output, which the model has not seen yet: dropped, it would only be asked for again."""
        if self._size <= target or not self._outputs:
            return False
        place = self._outputs[-1]
        message = self.messages[place]
        size = _size(message)
        limit = max(WORTH, size - (self._size - target))
        if not isinstance(message, Prompt | Reply) or size <= limit:
            return False
        said = msgspec.structs.replace(message, text=bounded(message.text, limit))
        self.messages[place] = said
        self._size += _size(said) - size
        return True


def _size(message: Message) -> int:
    size = len(message.text.encode(errors="replace"))
    if isinstance(message, Turn):
        size += len(message.thought.encode(errors="replace"))
        size += sum(len(call.name) + len(call.arguments.encode(errors="replace")) for call in message.calls)
    return size
