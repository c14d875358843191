from __future__ import annotations

from bot.tasks.identity import issue_digest


def test_title_and_text_are_both_the_issue_and_cannot_be_shifted_into_each_other() -> None:
    digests = {issue_digest(*each) for each in (("a", "b"), ("ab", ""), ("", "ab"), ("a", "b "), ("A", "b"))}
    assert len(digests) == 5


def test_line_ends_are_not() -> None:
    assert issue_digest("t", "a\r\nb") == issue_digest("t", "a\nb")
    assert issue_digest("t", "a\rb") != issue_digest("t", "a\nb")


def test_what_is_no_text_is_hashed_all_the_same() -> None:
    assert len(issue_digest("\ud800", "\x00")) == 64
