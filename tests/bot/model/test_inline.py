"""Where code spans lie, compared with a parser of CommonMark.

cmark-gfm, which GitHub runs, forgets some spans after a run of back-ticks that nothing closes; bot/reports/neutral.py
therefore leaves no such run in what it writes, and its own tests read it with cmark-gfm.
"""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from bot.model.inline import code_spans

PARSER = MarkdownIt("commonmark")


@given(st.text("`\\ab ", min_size=1, max_size=30).map(lambda text: f"x{text}x"))
def test_the_spans_are_those_of_commonmark(text):
    children = PARSER.parseInline(text)[0].children or []
    theirs = [child.content.strip() for child in children if child.type == "code_inline"]
    assert [text[start:end].strip("`").strip() for start, end in code_spans(text)] == theirs
