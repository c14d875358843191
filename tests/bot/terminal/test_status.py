"""The lines that come and go while something runs."""

from __future__ import annotations

import io
import time

from rich.console import Console

from bot.terminal.status import Status


def drawn(**of: object) -> list[str]:
    said = io.StringIO()
    console = Console(file=said, width=200, force_terminal=True, color_system=None)
    status = Status(console, is_shown=False)
    status.update(
        "Coding", str(of.get("words", "")), time.time() - float(str(of.get("ago", 0))), ("run    " + "x" * 200,)
    )
    console.print(status)
    return said.getvalue().splitlines()


def test_it_says_what_runs_since_when_and_the_last_deed_within_80_columns():
    head, deed = drawn(words="step 3 of 5: " + "long " * 40, ago=680)
    assert "Coding   step 3 of 5" in head
    assert head.endswith("11 m 20 s")
    assert deed.startswith(" " * 11 + "run    x")
    assert [len(head), len(deed)] == [80, 80]


def test_a_clock_that_was_set_back_shows_no_negative_time():
    assert drawn(words="x", ago=-3600)[0].endswith(" 0 s")


def test_without_a_terminal_nothing_is_drawn():
    said = io.StringIO()
    status = Status(Console(file=said), is_shown=False)
    status.update("Coding", "x", 0.0)
    status.clear()
    assert said.getvalue() == ""
