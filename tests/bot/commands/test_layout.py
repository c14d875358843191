"""What each line of a comment is, and that hostile comments cost little."""

from __future__ import annotations

import time

import pytest

from bot.commands.layout import Kind, read

LINES = {
    "words": Kind.WORDS,
    "": Kind.OTHER,
    "> quote": Kind.QUOTE,
    "    code": Kind.CODE,
    "<!-- comment -->": Kind.HIDDEN,
    "* item": Kind.OTHER,
}


@pytest.mark.parametrize("line", LINES)
def test_each_kind_of_line_is_told_apart(line):
    assert read(f"\n\n{line}\n").kinds[2] is LINES[line]


def test_fenced_blocks_are_given_with_their_place_and_content():
    assert read("a\n\n```x\nb\n```\n").blocks == [(2, "b\n")]


@pytest.mark.parametrize(
    "piece",
    [
        "`",
        "<a",
        "<!--",
        "[",
        ">",
        "- ",
        "`a``a```",
        "\\`",
        "<",
        "* a\n",
        "> - ",
        "|a|\n|-|\n",
        "[a]: b\n",
        "<a\n",
        "a <!--\n",
    ],
)
def test_no_comment_of_the_size_forges_take_costs_more_than_a_moment(piece):
    body = piece * (65_536 // len(piece))
    started = time.process_time()
    read(body)
    assert time.process_time() - started < 3  # a quadratic one takes minutes


def test_html_in_a_list_in_a_quotation_that_ends_at_once_is_read():
    assert read("> 1. <?\n> ").kinds == [Kind.HIDDEN, Kind.HIDDEN]
