"""What a model gets to see of long texts."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from runners.loop.excerpt import bounded, numbered


def test_a_short_text_is_left_alone():
    assert bounded("abc", 3) == "abc"


def test_head_and_tail_of_a_long_text_stay_and_the_cut_is_counted():
    text = bounded("H" * 1_000 + "T" * 1_000, 160)
    assert text == "H" * 60 + "\n[... 1,900 bytes left out ...]\n" + "T" * 40


@settings(deadline=None)
@given(st.text(max_size=400), st.integers(min_value=60, max_value=300))
def test_what_is_shown_is_never_longer_than_the_limit(text, limit):
    assert len(bounded(text, limit).encode(errors="replace")) <= limit


def test_lines_are_numbered_and_the_way_on_is_named():
    text = "one\ntwo\r\nthree\n"
    assert numbered(text, 1, 9, 999) == "     1\tone\n     2\ttwo\n     3\tthree"
    assert numbered(text, 2, 1, 999) == "     2\ttwo\n[lines 2 to 2 of 3; go on with offset=3]"
    assert numbered(text, 1, 9, 12) == "     1\tone\n[lines 1 to 1 of 3; go on with offset=2]"


def test_an_empty_file_and_a_line_beyond_the_end_are_said_in_words():
    assert numbered("", 1, 9, 99) == "[the file is empty]"
    assert numbered("x\n", 5, 9, 99) == "[the file has only 1 lines]"


def test_a_long_line_is_cut():
    assert numbered("x" * 2_500, 1, 1, 99_999).endswith("x [500 characters cut]")


@settings(deadline=None)
@given(st.text(alphabet="ab\n\r", max_size=60), st.integers(1, 5))
def test_reading_on_by_the_named_offset_shows_every_line_once(text, step):
    seen, offset = [], 1
    while True:
        shown = numbered(text, offset, step, 10_000).split("\n")
        seen += [line.split("\t")[1] for line in shown if "\t" in line]
        if "offset=" not in shown[-1]:
            break
        offset = int(shown[-1].rsplit("=", 1)[1].rstrip("]"))
    assert seen == [line.removesuffix("\r") for line in text.removesuffix("\n").split("\n")] or not text.strip("\n")
