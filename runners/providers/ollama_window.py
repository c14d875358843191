"""How much an Ollama model reads: chosen before the first call, and held against what it says it read; pure.

Ollama drops the oldest messages of too long a conversation without a word, save where `truncate: false` is understood.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

DEFAULT: Final = 32_768  # tokens; about what a short task takes, and what most machines have the memory for
SMALLEST: Final = 2_048  # below this our own instructions do not fit
ROOM: Final = 256  # tokens of an answer, at most a sixteenth of the window
SLACK: Final = 64  # tokens by which the same conversation may be counted differently


class Window(msgspec.Struct, frozen=True):
    """`num_ctx`, and why it is what it is: `why` is a key of [why] in ollama.toml."""

    tokens: int
    why: str
    trained: int = 0  # what the model was made for; 0: not said

    @property
    def room(self) -> int:
        """Tokens that have to be left for an answer."""
        return min(ROOM, self.tokens // 16)


def window(asked: int, model_info: Mapping[str, Any]) -> Window:
    """Choose: what the settings ask for, else what the model can read, bounded by what machines can hold."""
    found = (size for key, size in model_info.items() if key.endswith(".context_length") and isinstance(size, int))
    trained = max(0, next(found, 0))
    if asked:
        return Window(asked, "set", trained)
    if not trained:
        return Window(DEFAULT, "unknown")
    if trained > DEFAULT:
        return Window(DEFAULT, "bounded", trained)
    return Window(max(trained, SMALLEST), "trained", trained)


class Gauge:
    """Notices what the server left out of a conversation, from what it says it read of this one and the one before."""

    def __init__(self, of: Window) -> None:
        self._window = of
        self._said: list[dict[str, Any]] = []
        self._read = 0
        self._thought = 0

    def cut(self, messages: Sequence[Mapping[str, Any]], read: int) -> str:
        """Tell how a question of `read` tokens shows that it was cut: a key of [why] in ollama.toml, or nothing."""
        said = [{key: value for key, value in message.items() if key != "thinking"} for message in messages]
        before, longer = self._read, said[: len(self._said)] == self._said
        # What was thought goes back once and is then left out: so much shorter may the next question be.
        least = before - self._thought - SLACK
        self._said, self._read = said, read
        self._thought = sum(len(str(message.get("thinking", ""))) for message in messages)
        if read >= self._window.tokens - self._window.room:
            return "filled"
        # A server that counts no cached tokens says far too little; what was cut still fills most of the window.
        if longer and read < least and read > self._window.tokens // 2:
            return "dropped"
        return ""

    @property
    def before(self) -> int:
        """Tokens of the question before the last."""
        return self._read
