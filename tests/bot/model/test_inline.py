"""Where code spans lie, compared with a real Markdown parser."""

from __future__ import annotations

import html
import re

import cmarkgfm
from hypothesis import given
from hypothesis import strategies as st

from bot.model.inline import code_spans


@given(st.text("`\\ab ", min_size=1, max_size=30).map(lambda text: f"x{text}x"))
def test_the_spans_are_those_that_cmark_sees(text):
    rendered = cmarkgfm.github_flavored_markdown_to_html(text)
    theirs = [html.unescape(found) for found in re.findall("<code>(.*?)</code>", rendered)]
    ours = [text[start:end].strip("`") for start, end in code_spans(text)]
    assert [span.strip() for span in ours] == [span.strip() for span in theirs]
