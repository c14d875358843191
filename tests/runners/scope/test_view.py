from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from runners.scope.view import DETAIL, File, Rule, about, compared, listed, said

LINES = st.lists(st.sampled_from(["a", "b", "c", "  a", "d d"]))


def test_lines_that_moved_have_neither_come_nor_gone() -> None:
    file = compared(File("a.py", old="a\nb\nc\n", new="c\na\nb\nnew\n"))
    assert (file.added, file.removed) == (("new",), ())


@given(LINES, LINES)
def test_what_came_and_went_is_the_whole_difference(old: list[str], new: list[str]) -> None:
    file = compared(File("a", old="\n".join(old), new="\n".join(new)))
    assert Counter(old) + Counter(file.added) == Counter(new) + Counter(file.removed)


@given(st.text(max_size=400))
def test_a_detail_is_short_and_holds_nothing_hidden(text: str) -> None:
    shown = said(text)
    assert len(shown) <= DETAIL
    assert shown.isascii()
    assert shown.isprintable()


def test_a_finding_names_the_content_it_is_about() -> None:
    assert about(Rule.CI, File("a", sha256="1" * 64), "x").sha256 == "1" * 64


@given(st.lists(st.text(min_size=1, max_size=120), min_size=1, max_size=50))
def test_a_list_says_how_many_it_leaves_out(names: list[str]) -> None:
    shown = said(listed(names))
    assert len(shown) <= DETAIL
    assert not shown.endswith("...") or len(set(names)) == 1


def test_many_names_are_counted_in_front() -> None:
    assert listed(["a", "b"]) == "a, b"
    assert listed(f"name-{number:03}" for number in range(100)).startswith("(100 in all) name-000, name-001")
