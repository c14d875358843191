"""Entries of the instance log have one spelling each."""

from __future__ import annotations

import json

import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from bot.audit.entries import (
    LIMIT,
    EntryError,
    KeyAdded,
    KeyRevoked,
    TaskCheckpoint,
    TaskOpened,
    TaskSealed,
    decode,
    encode,
)

TEXT = st.text(max_size=200)
TASK = st.from_regex(r"[a-z0-9-]{1,64}", fullmatch=True)
ENTRIES = st.one_of(
    st.builds(TaskOpened, TEXT, TASK), st.builds(TaskCheckpoint, TEXT, TASK), st.builds(KeyAdded, TEXT),
    st.builds(KeyRevoked, TEXT),
    st.builds(TaskSealed, st.from_regex(r"[0-9a-f]{64}", fullmatch=True), st.integers(0, 2**53 - 1), TASK),
)  # fmt: skip


@given(ENTRIES)
def test_an_entry_comes_back_and_is_canonical(entry):
    line = encode(entry)
    assert decode(line) == entry
    assert rfc8785.dumps(json.loads(line)) == line


LINE = encode(TaskSealed("ab" * 32, 7, "42-k7f3qd"))


@pytest.mark.parametrize(
    "line",
    [
        b"", b"{}", b"[]", LINE + b"\n", LINE + b" ", LINE.replace(b":7", b": 7"), LINE.replace(b":7", b":7.0"),
        LINE.replace(b"task.sealed", b"task.other"), LINE.replace(b'"size":7,', b'"size":7,"size":7,'),
        LINE.replace(b'"size":7,', b""), LINE.replace(b"42-k7f3qd", b"42-K7"), LINE.replace(b"42-k", b"42-\\u006b"),
        LINE.replace(b'"task"', b'"tusk"'), b"\xff" + LINE, b"x" * (LIMIT + 1), b"[" * 5_000,
    ],
)  # fmt: skip
def test_any_other_bytes_are_none(line: bytes):
    assert line != LINE
    with pytest.raises(EntryError):
        decode(line)
