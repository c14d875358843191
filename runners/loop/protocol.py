"""What the loop and a chat model say to each other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import Any, Protocol, TypeAlias, runtime_checkable

import msgspec


class Tool(msgspec.Struct, frozen=True):
    """A tool as a model is told of it; `parameters` is a JSON schema."""

    name: str
    about: str
    parameters: dict[str, Any]


class Call(msgspec.Struct, frozen=True):
    """A tool call as the model wrote it: `arguments` is JSON text that nobody has checked yet."""

    id: str
    name: str
    arguments: str


class Stop(StrEnum):
    """Why a model stopped talking."""

    END = "stop"
    LENGTH = "length"  # cut by the token limit
    FILTER = "content_filter"
    GARBLED = "garbled"  # the server could not make calls of what the model wrote, which is then the text


class System(msgspec.Struct, frozen=True, tag="system"):
    """The standing instructions, always first."""

    text: str


class Prompt(msgspec.Struct, frozen=True, tag="user"):
    """What the harness says."""

    text: str


class Turn(msgspec.Struct, frozen=True, tag="assistant"):
    """One answer of the model: words, calls, or both."""

    text: str = ""
    calls: tuple[Call, ...] = ()
    stop: Stop = Stop.END
    model: str = ""  # as the endpoint names it
    thought: str = ""  # what the model thought apart from the text; some want it back while they work


class Reply(msgspec.Struct, frozen=True, tag="tool"):
    """What came of one call; every call gets exactly one."""

    call_id: str
    name: str
    text: str


Message: TypeAlias = System | Prompt | Turn | Reply


class Model(Protocol):
    """A chat model for the length of one run."""

    async def complete(self, messages: Sequence[Message], tools: Sequence[Tool], alive: Callable[[], None]) -> Turn:
        """Answer a conversation; call `alive` at every sign of life, raise ProviderError where no answer comes.

        Raises ToolsRefused where the server takes no tools; the loop then asks again without any.
        """


@runtime_checkable
class Measured(Protocol):
    """A model that knows how much it can read, so that nobody has to say it in the settings."""

    @property
    def context(self) -> int:
        """Tokens of question and answer together."""
