"""Lines and ends of streams in bounded memory."""

from __future__ import annotations

import tracemalloc

from hypothesis import given
from hypothesis import strategies as st

from runners.providers.lines import Lines, Tail

PIECES = st.lists(st.binary(max_size=12).map(lambda raw: raw.replace(b"a", b"\n")), max_size=20)


@given(PIECES)
def test_pieces_do_not_matter(pieces: list[bytes]) -> None:
    lines = Lines(1000)
    found = [line for piece in pieces for line in lines.add(piece)] + list(lines.rest())
    assert found == [line for line in b"".join(pieces).split(b"\n") if line]
    assert lines.skipped == 0


@given(PIECES, st.integers(1, 8))
def test_long_lines_are_left_out_and_counted(pieces: list[bytes], limit: int) -> None:
    lines = Lines(limit)
    found = [line for piece in pieces for line in lines.add(piece)] + list(lines.rest())
    whole = [line for line in b"".join(pieces).split(b"\n") if line]
    assert found == [line for line in whole if len(line) <= limit]
    assert lines.skipped == sum(len(line) > limit for line in whole)


def test_a_line_without_end_takes_no_memory() -> None:
    lines, tail, piece = Lines(100_000), Tail(100_000), b"x" * 65_536
    tracemalloc.start()
    for _ in range(200):
        assert list(lines.add(piece)) == []
        tail.add(piece)
    assert tracemalloc.get_traced_memory()[1] < 1_000_000
    tracemalloc.stop()
    assert list(lines.add(b"\nnext\n")) == [b"next"]
    assert lines.skipped == 1


@given(st.lists(st.text("xyz", max_size=9), max_size=20), st.integers(1, 20))
def test_the_end_of_a_stream_is_kept(pieces: list[str], limit: int) -> None:
    tail = Tail(limit)
    for piece in pieces:
        tail.add(piece.encode())
    assert tail.text() == "".join(pieces)[-limit:]


def test_half_characters_are_replaced() -> None:
    tail = Tail(3)
    tail.add("€€".encode()[:-1])
    assert "\ufffd" in tail.text()
