"""Events out of bytes, however they are cut."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runners.gateway.errors import Broken
from runners.gateway.sse import EVENT_MAX, Event, Events

STREAM = (
    b": comment\n\nevent: a\ndata: 1\n\ndata:two\r\ndata:  2\r\n\r\nid: 7\nretry: 3\n\n"
    b"event: c\rdata: \xc3\xa9\r\revent: lost\n\ndata\n\ndata: [DONE]\n\ndata: unfinished"
)
EVENTS = [
    Event("a", b"1"), Event("", b"two\n 2"), Event("c", "é".encode()), Event("", b""), Event("", b"[DONE]"),
]  # fmt: skip


@given(st.lists(st.integers(0, len(STREAM)), max_size=30))
def test_the_same_events_come_out_wherever_the_stream_is_cut(cuts: list[int]) -> None:
    events = Events()
    borders = [0, *sorted(cuts), len(STREAM)]
    pieces = [STREAM[a:b] for a, b in pairwise(borders)]
    assert [event for piece in pieces for event in events.feed(piece)] == EVENTS


def test_byte_by_byte_is_no_different() -> None:
    events = Events()
    assert [event for at in range(len(STREAM)) for event in events.feed(STREAM[at : at + 1])] == EVENTS


@pytest.mark.parametrize("line", [b"data: " + b"x" * 1000, b"data: x\n" * 100])
def test_an_event_without_end_is_given_up(line: bytes) -> None:
    events = Events()
    pieces = (event for _ in range(EVENT_MAX // 500) for event in events.feed(line))
    with pytest.raises(Broken, match=str(EVENT_MAX)):
        list(pieces)


def test_a_long_stream_of_short_events_is_no_long_event() -> None:
    events = Events()
    piece = b"data: " + b"x" * 1000 + b"\n\n"
    assert sum(1 for _ in range(20_000) for _ in events.feed(piece)) == 20_000
