"""Text by models and people, disarmed: proved through a forge's own Markdown."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bot.reports.neutral import bare, cell, code, cut, fence, inline, plain, visible
from tests.bot.reports.reading import Page
from tests.bot.reports.samples import ATTACK

pieces = st.sampled_from(
    [
        "@mira",
        "`",
        "``",
        "```",
        "<",
        ">",
        "<!--",
        "-->",
        "</details>",
        "<img src=x>",
        "![",
        "[",
        "]",
        "](x)",
        "\\",
        "|",
        "*",
        "_",
        "~",
        "~~~",
        "\n",
        "\n\n",
        "\r",
        "/approve",
        "#12",
        "!7",
        "GH-3",
        "Closes ",
        "&#64;",
        "&lt;",
        "http://e.example/",
        "www.e.example",
        "mailto:a.b",
        "gopher://e.example",
        " ",
        "word",
        "1. ",
        "- ",
        "# ",
        "> ",
        "    ",
        "---",
        "===",
        "+",
        "a",
        "1",
        ".",
        ":",
        "$",
        "%",
        "\u200b",
        "\x00",
    ]
)
hostile = st.one_of(st.lists(pieces, max_size=14).map("".join), st.text(max_size=80))
ALLOWED = {"p", "code", "em", "strong", "del"}


def check(page: Page) -> None:
    assert set(page.tags) <= ALLOWED, page.html
    assert not page.comments
    assert not page.faults
    assert not re.search(r"@[\w-]", page.words), page.words
    assert not re.search(r"(?<!&)[#!]\d", page.words), page.words
    assert not page.links


@given(hostile)
@example(ATTACK)
@example("\\``a`")
@example("a\\")
@example("*@mira*")
def test_inline_text_stays_inside_its_sentence(text):
    check(Page(f"Before {inline(text)} after."))
    assert Page(f"Before {inline(text)} after.").words.strip().endswith("after.")


@given(hostile)
@example(ATTACK)
def test_inline_text_opens_no_block_where_it_begins_a_line(text):
    shown = inline(text)
    page = Page(shown)
    check(page)
    assert page.tags.count("p") == (1 if shown else 0)
    assert not shown.startswith("/")


@given(hostile)
@example(ATTACK)
def test_plain_text_has_no_formatting_at_all(text):
    page = Page(f"**{plain(text)}.** after")
    check(page)
    assert not {"em", "code", "del"} & set(page.tags)
    assert page.words.strip().endswith("after")


@given(hostile)
@example(ATTACK)
def test_a_table_cell_stays_one_cell(text):
    page = Page(f"| a | b |\n|:--|--:|\n| {cell(text) or 'x'} | end |")
    assert page.tags.count("td") == 2
    assert "img" not in page.tags
    assert not re.search(r"@[\w-]", page.words)


@given(hostile)
@example(ATTACK)
def test_code_is_one_span_and_no_more(text):
    page = Page(f"before {code(text)} after")
    assert page.tags == ["p", "code"]
    assert page.words.strip() == "before  after"


@given(hostile, st.sampled_from(["head", "tail"]))
@example(ATTACK, "head")
def test_a_fence_holds_whatever_is_put_into_it(text, keep):
    page = Page(f"<details><summary>x</summary>\n\n{fence(text, 'sh', 60, keep)}\n\n</details>\n\nafter")
    assert not page.comments
    assert not page.faults
    assert page.tags[:4] == ["details", "summary", "pre", "code"]
    assert "img" not in page.tags
    assert page.words.strip().endswith("after")


@given(hostile)
@example(ATTACK)
def test_no_marker_of_ours_can_be_planted(text):
    for shown in (inline(text), plain(text), code(text), fence(text), cell(text)):
        assert "<!--" not in shown


def test_emphasis_and_code_that_were_meant_still_work():
    page = Page(inline("Use **two** `a|b <c>` and *one*, not `@x`"))
    assert (
        page.html
        == "<p>Use <strong>two</strong> <code>a|b &lt;c&gt;</code> and <em>one</em>, not <code>@x</code></p>\n"
    )


def test_a_code_block_becomes_a_code_span_in_a_line():
    assert inline("so:\n```python\nx = 1\n```\n") == "so: `` x = 1 ``"


@pytest.mark.parametrize(
    "text", ["Closes #12", "fixes https://github.com/o/r/issues/3", "Resolves o/r#4", "implements GH-5", "Fixed: #6"]
)
def test_no_text_closes_an_issue(text):
    for shown in (inline(text), plain(text), bare(text)):
        assert not re.search(r"(?i)\b(clos|fix|resolv|implement)\w*:?\s+(#|gh-|https?:|[\w./-]+#\d)", shown)


def test_ordinary_words_are_left_alone():
    assert inline("This fixes the bug: 100 % of calls (see a-b_c) cost 3 < 4.") == (
        "This fixes the bug: 100 % of calls (see a-b_c) cost 3 &lt; 4."
    )


def test_terminal_colours_and_unseen_characters_go():
    assert visible("\x1b[31mred\x1b[0m\x1b]0;title\x07 a\u200bb\u202ec\r\nd\te") == "red abc\nd\te"


@pytest.mark.parametrize(
    "address", ["https://e.example/x", "see http://e.example", "www.e.example", "mailto:a@e.example", "ftp://e.example"]
)
def test_no_address_becomes_a_link(address):
    for shown in (inline(address), plain(address), cell(address)):
        assert "<a" not in Page(shown).html
        assert shown.replace("\u200b", "") == address


def test_what_is_cut_says_so():
    assert cut("abcdef", 4) == "ab …"
    assert inline("word " * 500, 20).endswith(" …")
    shown = fence("\n".join(f"line {n}" for n in range(100)), limit=100)
    assert "these are the first 13 of 100 lines" in shown
    assert "line 99" in fence("\n".join(f"line {n}" for n in range(100)), limit=100, keep="tail")
