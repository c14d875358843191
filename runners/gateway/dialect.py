"""What every wire format is to the gateway: paths, headers, errors, and how usage is read from it."""

from __future__ import annotations

import re
from enum import Enum, auto
from typing import Any, Final, Protocol, TypeVar

import msgspec

from bot.settings import Price
from runners.gateway.errors import Broken
from runners.gateway.sse import Event
from runners.providers.protocol import Upstream

TEXT_MAX: Final = 1 << 20  # characters of an answer that are kept for the record


class Kind(Enum):
    """What a path is for."""

    GENERATE = auto()  # asks the model
    ARRAY = auto()  # asks the model; what comes back as JSON is an array that grows
    COUNT = auto()  # sends the prompt or the model's name, costs nothing
    LIST = auto()  # asks for the models there are, with GET
    MODELS = auto()  # answered by the gateway itself


class Tokens(msgspec.Struct, frozen=True):
    """Tokens of one call by how they are priced; their sum is what went in and out."""

    fresh: int = 0
    cache_write: int = 0
    cache_read: int = 0
    out: int = 0

    @property
    def given(self) -> int:
        """Sum the input."""
        return self.fresh + self.cache_write + self.cache_read


class Answer(msgspec.Struct, frozen=True):
    """What came back: `complete` only where the dialect's own end was seen."""

    tokens: Tokens
    stop: str
    complete: bool
    content: bytes  # JSON: text, thinking and tool calls put together again from the stream


class Meter(Protocol):
    """Reads one answer as it passes; raises Broken where it can be no success."""

    def event(self, event: Event) -> None:
        """Read one event of a stream."""

    def body(self, raw: bytes) -> None:
        """Read a whole answer."""

    def answer(self) -> Answer:
        """Say what was read so far."""


class CountMeter:
    """Lets the answer of a token count pass: nothing was generated."""

    _complete = False

    def event(self, event: Event) -> None:
        """Refuse: a count does not stream."""
        raise Broken(f"a token count came back as a stream ({event.name})")

    def body(self, raw: bytes) -> None:
        """Take the answer for whole if it is JSON."""
        try:
            msgspec.json.decode(raw)
        except msgspec.MsgspecError as problem:
            raise Broken(f"the token count is not readable: {problem}") from problem
        self._complete = True

    def answer(self) -> Answer:
        """Say that no tokens were used."""
        return Answer(Tokens(), "", self._complete, b"")


Fields = dict[str, msgspec.Raw]


class Dialect(Protocol):
    """One wire format; a path may hold `{model}` in one of its segments."""

    name: str
    paths: dict[str, Kind]
    queries: re.Pattern[str]

    def url(self, base: str, path: str) -> str:
        """Join the upstream's base URL and a path of ours."""

    def credentials(self, upstream: Upstream, beta: str) -> dict[str, str]:
        """Make the headers that carry the real key; `beta` is what the client sent as anthropic-beta."""

    def prepare(self, fields: Fields) -> Fields:
        """Add what the gateway needs in order to count."""

    def error(self, status: int, message: str) -> bytes:
        """Shape an error so that the runtime understands it."""

    def meter(self, kind: Kind, path: str = "") -> Meter:
        """Make a meter for one answer."""

    def price(self, price: Price) -> Price:
        """Fill in what the API charges for cached input where the table does not say."""


class Piece(Protocol):
    """A chunk, a line or a whole answer of an API that reports its faults in the same place."""

    @property
    def error(self) -> Any:
        """What the API says went wrong, None where nothing did."""


Shape = TypeVar("Shape", bound=Piece)


def decoded(decoder: msgspec.json.Decoder[Shape], raw: bytes) -> Shape:
    """Read a piece of an answer; raise Broken where it does not read, or says that the API broke off."""
    try:
        read = decoder.decode(raw)
    except msgspec.MsgspecError as problem:
        raise Broken(f"the model's answer is not readable: {problem}") from problem
    if read.error is not None:
        raise broke_off(msgspec.json.encode({"error": read.error}))
    return read


def broke_off(said: bytes) -> Broken:
    """Say that the API itself ended an answer before its end, with what it said about it."""
    return Broken(f"the model's API broke off: {said[:300].decode('utf-8', 'replace')}", said)


def undiscounted(price: Price) -> Price:
    """Charge cached input in full where the table does not say: the discount differs by model."""
    return msgspec.structs.replace(
        price,
        cache_read=price.input if price.cache_read is None else price.cache_read,
        cache_write=price.input if price.cache_write is None else price.cache_write,
    )


class Pieces:
    """Puts an answer together again from its deltas, up to TEXT_MAX characters."""

    def __init__(self) -> None:
        self._parts: dict[int, tuple[dict[str, Any], list[str]]] = {}
        self._left = TEXT_MAX

    def open(self, index: int, head: dict[str, Any]) -> None:
        """Begin a part; its key `text` or `arguments` is filled by what follows."""
        self._parts.setdefault(index, (head, []))

    def add(self, index: int, text: str) -> None:
        """Add text to a part that was opened."""
        part = self._parts.get(index)
        if part and text and self._left > 0:
            part[1].append(text[: self._left])
            self._left -= len(text)

    def json(self) -> bytes:
        """Encode what was put together, in order; empty where nothing was said."""
        parts = []
        for _, (head, texts) in sorted(self._parts.items()):
            key = "arguments" if "tool" in head else "text"
            if texts or "tool" in head:
                parts.append({**head, key: "".join(texts)})
        return msgspec.json.encode({"content": parts, "truncated": self._left <= 0}) if parts else b""
