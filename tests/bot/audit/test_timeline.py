from __future__ import annotations

import io
import sys

import pytest

from bot.audit import kinds
from bot.audit.chain import Draft, Link, extend, genesis
from bot.audit.command import show
from bot.audit.record import Who, decode
from bot.audit.timeline import events, timeline

AGENT = Who("agent:opus", "author", "agent")


@pytest.mark.parametrize(("count", "shown"), [(3, True), (0, False)])
def test_what_was_cut_out_is_shown_where_something_was(count: int, shown: bool) -> None:
    """And the record of an attempt without any is, byte for byte, what older journals hold."""
    ended = kinds.AttemptEnded(1, "coding", tokens_out=20, redacted=count)
    drafts = [Draft("attempt.ended", ended, AGENT)]
    (line,), _ = extend(Link(-1, genesis("test", "local:local:7", "42-k7f3qd")), drafts, task="42-k7f3qd", now_ms=1)
    assert (b"redacted" in line) is shown
    *_, said = timeline([decode(line)])
    assert (" step=coding redacted=3 " in said) is shown


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("environment", "is_bold"),
    [({"TERM": "xterm"}, True), ({"TERM": "dumb"}, False), ({"TERM": "xterm", "NO_COLOR": "1"}, False)],
)
def test_what_was_let_pass_stands_out_on_a_terminal_that_can(story, monkeypatch, environment, is_bold):
    monkeypatch.delenv("NO_COLOR", raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    screen = Terminal()
    monkeypatch.setattr(sys, "stdout", screen)

    assert show(story.store()) == 0
    bold = [line for line in screen.getvalue().splitlines() if "\x1b[1m" in line]
    assert bool(bold) is is_bold
    assert all(line.endswith("\x1b[0m") and (" approval " in line or " ruling " in line) for line in bold)
    assert len(bold) == (9 if is_bold else 0)


def test_nothing_is_bold_where_nobody_looks(story, capsys):
    show(story.store())

    assert "\x1b" not in capsys.readouterr().out


def test_what_needs_attention_is_marked():
    made = Draft("alarm", kinds.Alarm("GW-MERGED-EARLY", "a" * 40), AGENT, outcome="fail")
    (line,), _ = extend(Link(-1, "0" * 64), [made], task="42-k7f3qd", now_ms=1)
    (event,) = events([decode(line)])

    assert (event.mark, event.is_loud, event.is_vote) == ("fail! !!", True, False)
    *_, said = timeline([decode(line)], bold=True)
    assert "alarm fail! !! code=GW-MERGED-EARLY commit=aaaaaaa" in said
