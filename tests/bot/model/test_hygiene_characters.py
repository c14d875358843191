"""Characters that nobody sees."""

from __future__ import annotations

import sys
import unicodedata

from bot.model.hygiene_characters import UNSEEN, Hidden, decoded, drop, kind_of, seen, spelled


def test_every_format_and_control_character_of_unicode_is_unseen_but_tab_and_line_feed():
    """What Unicode calls Cc or Cf has no shape, save the few that scripts draw as signs."""
    drawn = set(range(0x600, 0x606)) | {0x6DD, 0x70F, 0x890, 0x891, 0x8E2, 0x110BD, 0x110CD}
    drawn |= set(range(0x13430, 0x13440))  # they lay hieroglyphs out
    left = [
        code
        for code in range(sys.maxunicode + 1)
        if unicodedata.category(chr(code)) in ("Cc", "Cf") and not UNSEEN.match(chr(code)) and code not in drawn
    ]
    assert left == [0x09, 0x0A]


def test_letters_signs_and_spaces_are_seen():
    for code in range(0x20, sys.maxunicode + 1):
        if unicodedata.category(chr(code)) in ("Lu", "Ll", "Lt", "Nd", "Sm", "Sc", "Zs", "Pd", "Po"):
            assert not UNSEEN.match(chr(code)), f"U+{code:04X}"


def test_each_character_has_its_kind():
    kinds = {
        "\u200b": Hidden.ZERO_WIDTH, "\u00ad": Hidden.ZERO_WIDTH, "\u180e": Hidden.ZERO_WIDTH,
        "\u2063": Hidden.ZERO_WIDTH,
        "\u202e": Hidden.BIDI, "\u2066": Hidden.BIDI, "\U000e0041": Hidden.TAG_CHARACTER, "\ufe0f": Hidden.SELECTOR,
        "\U000e0100": Hidden.SELECTOR, "\u3164": Hidden.FILLER, "\u115f": Hidden.FILLER, "\x1b": Hidden.CONTROL,
        "\x85": Hidden.CONTROL, "\ud800": Hidden.CONTROL, "a": None, "\t": None, "\n": None,
    }  # fmt: skip
    assert {char: kind_of(char) for char in kinds} == kinds


def test_dropping_notes_each_character():
    finds = []
    assert drop("a\u200b\u202eb\x00\r\nc", finds) == "ab\nc"
    assert [find.kind for find in finds] == [Hidden.ZERO_WIDTH, Hidden.BIDI, Hidden.CONTROL]


def test_code_is_left_as_it_is_but_for_what_nobody_sees():
    assert seen("<!-- x -->\tif\u2060 a:\r\n    b") == "<!-- x -->\tif a:\n    b"


def test_in_a_diff_they_are_spelled_out():
    assert spelled("a\u202eb\U000e0041\r\n\tc") == "a<U+202E>b<U+E0041>\n\tc"


def test_shadowed_letters_are_read_and_others_numbered_once():
    assert decoded("".join(chr(0xE0000 + ord(char)) for char in "hi!")) == "hi!"
    assert decoded("\u200b\u200b\u200d") == "U+200B U+200D"
