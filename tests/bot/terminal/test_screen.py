"""What reaches the eye: nothing foreign steers the terminal, lines fit, pipes get one line an event."""

from __future__ import annotations

import io
import re

import pytest
from rich.console import Console

from bot.terminal.screen import Screen, safe, span


def screen(*, is_live: bool) -> tuple[Screen, io.StringIO]:
    said = io.StringIO()
    console = Console(file=said, width=100, force_terminal=is_live, highlight=False, color_system=None)
    return Screen(console, is_live=is_live), said


@pytest.mark.parametrize(
    ("hostile", "shown"),
    [
        ("\x1b]0;owned\x07", "\ufffd]0;owned\ufffd"),
        ("\x1b[2J\x1b[31m", "\ufffd[2J\ufffd[31m"),
        ("a\rb\x08c", "a\ufffdb\ufffdc"),
        ("nimda \u202enimda", "nimda \ufffdnimda"),
        ("\x9b31m", "\ufffd31m"),
    ],
)
def test_foreign_text_steers_no_terminal(hostile, shown):
    assert safe(hostile) == shown


def test_what_people_write_stays():
    assert safe("naïve\u00a0Größe 日本\n\tx ✓") == "naïve\u00a0Größe 日本\n\tx ✓"


@pytest.mark.parametrize("is_live", [True, False])
@pytest.mark.parametrize("way", ["say", "tell", "detail", "show", "line"])
def test_no_way_of_printing_lets_an_escape_through(way, is_live):
    on, said = screen(is_live=is_live)
    hostile = "see \x1b[2Jhere"
    if way == "line":
        on.line("ok", "Spec", hostile)
    else:
        getattr(on, way)(hostile)
    assert "\x1b[2J" not in said.getvalue()
    assert "\ufffd[2J" in said.getvalue()


def test_a_line_keeps_its_figures_at_the_right_edge_and_breaks_below_its_words():
    on, said = screen(is_live=True)
    on.line("ok", "Coding", "word " * 30, "0.4 s   0.00 USD")
    lines = said.getvalue().splitlines()
    assert lines[0].startswith("✓ Coding   word")
    assert lines[0].endswith("word 0.4 s   0.00 USD") or re.search(r"word +0.4 s   0.00 USD$", lines[0])
    assert len(lines[0]) == 80
    assert all(len(line) <= 80 and line.startswith(" " * 11 + "word") for line in lines[1:])


def test_a_pipe_gets_one_line_an_event():
    on, said = screen(is_live=False)
    on.line("ok", "Coding", "word " * 30, "0.4 s")
    assert re.fullmatch(r"\d\d:\d\d:\d\d Coding   (word )+  0.4 s\n", said.getvalue())


def test_commands_are_never_broken():
    on, said = screen(is_live=True)
    on.say("git -C " + "x" * 300)
    assert said.getvalue().count("\n") == 1


def test_where_a_link_leads_is_written_out():
    on, said = screen(is_live=True)
    on.show("[the docs](https://evil.example)")
    assert "https://evil.example" in said.getvalue()
    assert "\x1b]8" not in said.getvalue()


@pytest.mark.parametrize(("ms", "words"), [(0, "0.0 s"), (412, "0.4 s"), (59_999, "60.0 s"), (124_000, "2 m 04 s")])
def test_spans_read_like_the_ones_of_people(ms, words):
    assert span(ms) == words
