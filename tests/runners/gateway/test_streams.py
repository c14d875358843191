"""Streams cut at any border give the same events; what is garbled breaks."""

from __future__ import annotations

import json
from typing import Any

import pytest

from runners.gateway.errors import Broken
from runners.gateway.sse import EVENT_MAX, Event
from runners.gateway.streams import Array, Frames, Lines, cutter
from tests.simulators.models.bedrock import frame

TRICKY = [{"text": 'a "]}\\', "deep": [[{}], "\u20ac["]}, {}, [1, 2], {"x": "\\\\"}]
ARRAY = json.dumps(TRICKY, indent=1).encode()
LINES = b'{"a": 1}\r\n\n{"b": "\xe2\x82\xac"}\n'
FRAMED = frame("event", "chunk", b"one") + frame("event", "other", b"") + frame("event", "chunk", b"x" * 999)


def fed(make: Any, raw: bytes, size: int) -> list[Event]:
    """Feed bytes in pieces."""
    one = make()
    return [event for at in range(0, len(raw), size) for event in one.feed(raw[at : at + size])]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 5000])
def test_borders_of_pieces_do_not_matter(size: int) -> None:
    assert [json.loads(event.data) for event in fed(Array, ARRAY, size)] == TRICKY
    assert [json.loads(event.data) for event in fed(Lines, LINES, size)] == [{"a": 1}, {"b": "\u20ac"}]
    assert fed(Frames, FRAMED, size) == [Event("chunk", b"one"), Event("other", b""), Event("chunk", b"x" * 999)]


@pytest.mark.parametrize("at", [0, 5, 9, 13, 20, -20, -1])
def test_a_flipped_bit_in_a_frame_is_noticed(at: int) -> None:
    raw = bytearray(frame("event", "chunk", b"a payload of some length"))
    raw[at] ^= 1
    with pytest.raises(Broken):
        fed(Frames, bytes(raw) + FRAMED, 10_000)


def test_a_frame_that_reports_an_exception_breaks_with_its_name() -> None:
    with pytest.raises(Broken, match="throttlingException slow down"):
        fed(Frames, frame("exception", "throttlingException", b"slow down"), 100)


@pytest.mark.parametrize("make", [Array, Lines, Frames])
def test_what_does_not_end_is_not_kept_for_ever(make: Any) -> None:
    endless = b'["' + b"x" * (EVENT_MAX + 2) if make is not Frames else b"\xff" * 100
    with pytest.raises(Broken):
        fed(make, endless, 65536)


def test_the_content_type_decides_how_an_answer_is_cut() -> None:
    assert isinstance(cutter("application/json; charset=UTF-8", grows=True), Array)
    assert cutter("application/json", grows=False) is None
    assert isinstance(cutter("application/x-ndjson", grows=False), Lines)
    assert isinstance(cutter("Application/vnd.amazon.eventstream", grows=False), Frames)
    assert cutter("", grows=False) is None
