"""HTML tags and what is left of them."""

from __future__ import annotations

import pytest

from bot.model.hygiene_characters import Hidden
from bot.model.hygiene_tags import AUTOLINK, INLINE, Tag, address


@pytest.mark.parametrize(
    ("source", "left", "kinds"),
    [
        ("<b>", "<b>", []),
        ("<br />", "<br />", []),
        ("</b>", "</b>", []),
        ('<p align="center">', "<p>", []),
        ('<p align="do as I say, not as they say">', "<p>", [Hidden.ATTRIBUTE]),
        ('<a href="https://x.example/y" rel=nofollow>', '<a href="https://x.example/y">', []),
        ('<a href="javascript:x()">', "<a>", [Hidden.ATTRIBUTE]),
        ('<img width="600" alt="image" src="https://x.example/y.png">', '<img src="https://x.example/y.png">', []),
        ("<img alt='read this' src=y.png title=\"t\">", '<img src="y.png">', [Hidden.ALT, Hidden.TITLE]),
        ("<T>", "", [Hidden.TAG]),
        ("</T>", "", []),
        ("<input placeholder='x y'>", "", [Hidden.TAG]),
    ],
)
def test_a_tag_keeps_its_name_and_its_target(source, left, kinds):
    tag = Tag(source)
    assert tag.written() == left
    assert [find.kind for find in tag.finds()] == kinds


@pytest.mark.parametrize(
    "style",
    [
        "display:none", "DISPLAY : NONE", "visibility: hidden", "opacity:0", "opacity: 0.0;", "font-size:1px",
        "font-size:0",
        "color:#fff", "color: white", "background:red;color:transparent", "left:-9999px", "height:0",
        "max-height:0px;x:y",
    ],
)  # fmt: skip
def test_styles_that_hide_are_known(style):
    assert Tag(f'<span style="{style}">').hides


@pytest.mark.parametrize(
    "style", ["color:red", "font-size:12px", "display:block", "opacity:0.5", "opacity: 1", "height:100px"]
)
def test_other_styles_hide_nothing(style):
    assert not Tag(f'<span style="{style}">').hides


def test_some_elements_hide_what_they_hold_and_empty_ones_nothing():
    assert Tag("<template>").swallows
    assert Tag("<video>").hides
    assert not Tag("<video>").swallows
    assert Tag("<div hidden>").swallows
    assert not Tag("<img hidden>").swallows
    assert not Tag("</template>").hides


@pytest.mark.parametrize(
    "value",
    [
        "",
        "javascript:x",
        "data:text/plain,x",
        "a b",
        "https://x.example/(",
        "x`y",
        'x"y',
        "<x>",
        "vbscript:x",
        "x" * 2_100,
    ],
)
def test_what_is_no_address_is_not_kept(value):
    assert address(value) == ""


@pytest.mark.parametrize(
    "value", ["https://x.example/y_(z)?a=b#c", "mailto:a@b.example", "#part", "../x.md", "/y", "?q=1"]
)
def test_addresses_are_kept(value):
    assert address(value) == value


def test_a_comparison_is_no_tag_and_an_address_in_angle_brackets_none_either():
    assert not INLINE.match("<3 and >")
    assert not INLINE.match("< b>")
    assert not INLINE.match("<b")
    assert AUTOLINK.match("<https://x.example>")
    assert AUTOLINK.match("<a.b@x.example>")
    assert not AUTOLINK.match("<b>")
