"""What is said of the window, and how a question that was cut shows."""

from __future__ import annotations

from typing import Any

from runners.providers.ollama_window import DEFAULT, SLACK, SMALLEST, Gauge, Window, window

FIRST = [{"role": "system", "content": "s"}, {"role": "user", "content": "p"}]
LONGER = [*FIRST, {"role": "assistant", "content": "a", "thinking": "t" * 300}, {"role": "user", "content": "q"}]
LONGEST = [*LONGER[:2], {"role": "assistant", "content": "a"}, LONGER[3], {"role": "user", "content": "r"}]


def test_the_settings_come_first_then_what_the_model_can_read_within_bounds() -> None:
    info: dict[str, Any] = {"general.name": "x", "qwen3.context_length": 40_960}
    assert window(65_536, info) == Window(65_536, "set", 40_960)
    assert window(0, info) == Window(DEFAULT, "bounded", 40_960)
    assert window(0, {"gemma.context_length": 8_192}) == Window(8_192, "trained", 8_192)
    assert window(0, {"tiny.context_length": 512}).tokens == SMALLEST
    assert window(0, {"odd.context_length": "8k"}) == Window(DEFAULT, "unknown")


def test_a_question_that_fills_the_window_was_cut_or_leaves_no_room() -> None:
    of = Window(4_096, "set")
    assert Gauge(of).cut(FIRST, 4_096) == "filled"
    assert Gauge(of).cut(FIRST, 4_096 - of.room) == "filled"
    assert Gauge(of).cut(FIRST, 4_096 - of.room - 1) == ""


def test_a_longer_question_that_is_counted_shorter_was_cut() -> None:
    gauge = Gauge(Window(4_096, "set"))
    assert gauge.cut(FIRST, 3_500) == ""
    assert gauge.before == 3_500
    assert gauge.cut(LONGER, 3_000) == "dropped"


def test_thoughts_that_are_left_out_make_a_question_shorter_and_are_no_cut() -> None:
    gauge = Gauge(Window(4_096, "set"))
    assert gauge.cut(FIRST, 3_000) == ""
    assert gauge.cut(LONGER, 3_500) == ""
    assert gauge.cut(LONGEST, 3_500 - 300 - SLACK) == ""


def test_a_question_that_we_made_shorter_may_be_counted_shorter() -> None:
    gauge = Gauge(Window(4_096, "set"))
    gauge.cut(LONGER, 3_500)
    shorter = [*FIRST, LONGER[2], {"role": "user", "content": "[dropped]"}, {"role": "user", "content": "r"}]
    assert gauge.cut(shorter, 2_500) == ""


def test_a_server_that_counts_no_cached_tokens_is_not_mistaken_for_one_that_cuts() -> None:
    gauge = Gauge(Window(4_096, "set"))
    gauge.cut(FIRST, 3_000)
    assert gauge.cut(LONGER, 40) == ""
