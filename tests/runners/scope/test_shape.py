from __future__ import annotations

import pytest

from bot.model.policy import Policy
from runners.scope.shape import mode, size, unreadable
from runners.scope.view import Finding
from tests.runners.scope.parts import changed, gone, new, said, view


def test_a_file_that_can_be_run_from_now_on() -> None:
    assert said(mode(view(changed("run.sh", mode="100755")))) == "can be executed now"
    assert said(mode(view(new("run.sh", mode="100755")))) == "can be executed now"
    assert said(mode(view(changed("run.sh", old_mode="100755", mode="100755")))) == ""
    assert said(mode(view(changed("run.sh", old_mode="100755", mode="100644")))) == ""


def test_links_say_where_they_lead() -> None:
    assert said(mode(view(new("a", "../secret", mode="120000")))) == "links to ../secret"


@pytest.mark.parametrize(("lines", "asked"), [(2_000, False), (2_001, True)])
def test_too_many_lines(lines: int, asked: bool) -> None:
    assert bool(said(size(view(changed("a", lines=lines)), Policy()))) == asked


@pytest.mark.parametrize(("count", "asked"), [(100, False), (101, True)])
def test_too_many_files(count: int, asked: bool) -> None:
    assert bool(said(size(view(*(new(f"a{n}") for n in range(count))), Policy()))) == asked


def test_leave_for_a_large_change_is_leave_for_that_one() -> None:
    def found(text: str) -> list[Finding]:
        return list(size(view(changed("a", new=text, lines=3_000)), Policy()))

    assert found("one") != found("two")
    assert found("one") == found("one")


def test_what_no_rule_could_look_into() -> None:
    assert said(unreadable(view(new("a.bin", "", is_readable=False)))).startswith("binary")
    assert said(unreadable(view(new("a.py"), gone("b.bin")))) == ""
