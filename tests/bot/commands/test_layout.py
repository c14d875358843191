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


@pytest.mark.parametrize(
    "body",
    [
        '[look](https://x.example "\n/approve\n")', "![\n/approve\n](https://x.example)", "[a\n/approve\n][b]",
        "![a [b]\n/approve\n](https://x.example)", "[a](<b c> '\n/approve\n')", "[a](b (\n/approve\n))",
        '[a](b_(c) "d)\n/approve\n")',
    ],
)  # fmt: skip
def test_nothing_in_the_words_or_the_title_of_a_link_is_said(body: str) -> None:
    layout = read(body)
    assert Kind.WORDS not in [kind for line, kind in zip(layout.lines, layout.kinds, strict=True) if line == "/approve"]


@pytest.mark.parametrize("before", ["[x]", "a [b](c) d", "[a", "a](b", "(see [1])"])
def test_brackets_that_make_no_link_hide_nothing(before: str) -> None:
    layout = read(f"{before}\n/approve")
    assert layout.kinds[layout.lines.index("/approve")] is Kind.WORDS


@pytest.mark.parametrize("part", ["[", "](", "[a](b 'c\n", '](a "', "](a ("])
def test_brackets_cost_no_more_than_their_length(part: str) -> None:
    start = time.perf_counter()
    read(part * (60_000 // len(part)))
    assert time.perf_counter() - start < 3
