from __future__ import annotations

from bot.reports.problems import problem


def test_what_a_worker_explains_is_shown_in_its_parts() -> None:
    said = "the phase took too long [GW-PHASE-TIMEOUT]\nwhy: the limit\nfix: `retry`\n\nlast lines\nof a log"
    shown = problem("GW-PHASE-TIMEOUT", said)
    assert (shown.what, shown.why, shown.fix) == ("the phase took too long", "the limit", "`retry`")
    assert shown.log == "last lines\nof a log"
    assert [way.verb for way in shown.ways] == ["retry", "cancel"]


def test_a_known_code_brings_its_own_words_and_ways() -> None:
    shown = problem("GW-QA-ROUNDS", "")
    assert "draft pull request" in shown.what
    assert [way.verb for way in shown.ways] == ["retry", "fix", "model", "revise", "cancel"]


def test_a_code_nobody_described_still_says_how_to_go_on() -> None:
    shown = problem("GW-NEVER-HEARD-OF", "")
    assert shown.what
    assert [way.verb for way in shown.ways] == ["retry", "cancel"]
