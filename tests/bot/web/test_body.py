"""Reading bodies: bounds, content types, forms."""

from __future__ import annotations

import asyncio
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.web.answers import Rejection
from bot.web.body import FORM, JSON, BodyReader, Limits, json_of_form, media_type


def stream(*pieces: bytes, pause: float = 0, ends: bool = True):
    """Make an ASGI `receive` out of pieces."""
    messages = [{"type": "http.request", "body": piece, "more_body": True} for piece in pieces]
    messages.append({"type": "http.request"} if ends else {"type": "http.disconnect"})

    async def receive():
        await asyncio.sleep(pause)
        return messages.pop(0)

    return receive


async def read(limits: Limits, *pieces: bytes, keep: bool = True, pause: float = 0, ends: bool = True) -> bytes:
    return await BodyReader(limits).read(stream(*pieces, pause=pause, ends=ends), keep=keep)


async def test_pieces_are_put_together() -> None:
    assert await read(Limits(), b"ab", b"", b"c") == b"abc"


async def test_unsigned_bytes_are_counted_and_not_kept() -> None:
    assert await read(Limits(body_bytes=3), b"ab", b"c", keep=False) == b""
    with pytest.raises(Rejection) as refused:
        await read(Limits(body_bytes=2), b"ab", b"c", keep=False)
    assert refused.value.status == 413


async def test_one_byte_over_the_limit_is_refused_and_the_limit_itself_is_not() -> None:
    assert await read(Limits(body_bytes=3), b"abc") == b"abc"
    with pytest.raises(Rejection) as refused:
        await read(Limits(body_bytes=3), b"ab", b"cd")
    assert (refused.value.status, refused.value.unread) == (413, True)


async def test_silence_is_refused() -> None:
    with pytest.raises(Rejection) as refused:
        await read(Limits(idle_seconds=0.02), b"a", pause=0.5)
    assert refused.value.status == 408


async def test_steady_drip_is_refused_when_the_whole_takes_too_long() -> None:
    with pytest.raises(Rejection) as refused:
        await read(Limits(idle_seconds=0.5, total_seconds=0.1), *[b"a"] * 50, pause=0.02)
    assert refused.value.status == 408


async def test_breaking_off_is_refused() -> None:
    with pytest.raises(Rejection) as refused:
        await read(Limits(), b"a", ends=False)
    assert refused.value.code == "GW-WEB-CUT"


async def test_place_of_a_large_body_is_given_back_whatever_happens() -> None:
    reader = BodyReader(Limits(large_bytes=1, large_at_once=1, body_bytes=4))
    assert await reader.read(stream(b"aa", b"a"), keep=True) == b"aaa"
    with pytest.raises(Rejection):
        await reader.read(stream(b"aaa", b"aaa"), keep=True)
    with pytest.raises(Rejection):
        await reader.read(stream(b"aaa", ends=False), keep=True)
    assert await reader.read(stream(b"aaa"), keep=True) == b"aaa"


@pytest.mark.parametrize(
    ("announced", "refused"), [(None, False), (b"5", False), (b"6", True), (b"-1", True), (b"9" * 5000, True)]
)
def test_announced_length_is_judged_before_reading(announced: bytes | None, refused: bool) -> None:
    reader = BodyReader(Limits(body_bytes=5))
    if not refused:
        reader.check_length(announced)
        return
    with pytest.raises(Rejection):
        reader.check_length(announced)


@pytest.mark.parametrize(
    ("header", "kind"),
    [
        (b"application/json", JSON),
        (b"Application/JSON; charset=utf-8", JSON),
        (b'application/json;charset="UTF-8"', JSON),
        (b"application/x-www-form-urlencoded", FORM),
    ],
)
def test_the_two_content_types_are_known_in_every_spelling(header: bytes, kind: bytes) -> None:
    assert media_type(header) == kind


@pytest.mark.parametrize("header", [None, b"", b"application/json; charset=utf-7", b"multipart/form-data; boundary=x"])
def test_any_other_content_type_is_refused(header: bytes | None) -> None:
    with pytest.raises(Rejection) as refused:
        media_type(header)
    assert refused.value.status == 415


@given(st.text())
def test_form_gives_back_the_text_that_was_put_in(text: str) -> None:
    try:
        encoded = text.encode()
    except UnicodeEncodeError:
        return
    assert json_of_form(b"payload=" + quote(encoded, safe="").encode()) == encoded


@given(st.binary())
def test_form_of_any_bytes_is_read_or_a_value_error(body: bytes) -> None:
    try:
        assert isinstance(json_of_form(body), bytes)
    except ValueError:
        return
