from __future__ import annotations

from bot.tasks.plain import raw, text


def test_answers_are_text_whichever_the_client_was_set_to():
    assert [text(b"ja\xc3\xa4"), text("jaä"), text(None)] == ["jaä", "jaä", ""]


def test_answers_are_bytes_whichever_the_client_was_set_to():
    assert [raw(b"\xff"), raw("jaä")] == [b"\xff", b"ja\xc3\xa4"]
