from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runners.scope.letters import bidi, is_mixed, mixed_script
from tests.runners.scope.parts import changed, gone, new, said, view


@pytest.mark.parametrize(
    ("text", "char"),
    [
        ("a\u202eb", "U+202E"), ("a\u2066b", "U+2066"), ("a\u200bb", "U+200B"), ("a\u200db", "U+200D"),
        ("a\U000e0041b", "U+E0041"), ("a\U000e0100b", "U+E0100"), ("a\ufeffb", "U+FEFF"), ("a\u3164b", "U+3164"),
        ("a\u00adb", "U+00AD"), ("a\x08b", "U+0008"), ("a\x1b[8mb", "U+001B"), ("a\rb", "U+000D"),
    ],
)  # fmt: skip
def test_characters_that_nobody_sees(text: str, char: str) -> None:
    assert said(bidi(view(changed("a.py", "", f"x\n{text}\n")))) == f"holds {char} x1"
    assert said(bidi(view(changed("a.py", f"{text}\n", f"x\n{text}\n")))) == ""


@pytest.mark.parametrize(
    "text", ["\ufeffimport os\n", "a\r\nb\r\n", "\ttab\n", "\u2764\ufe0f\n", "caf\u00e9 \u65e5\u672c\n"]
)
def test_ordinary_characters(text: str) -> None:
    assert said(bidi(view(new("a.py", text)))) == ""


def test_a_name_can_hide_something_too() -> None:
    assert said(bidi(view(new("a\u202egpj.exe")))) == "holds U+202E x1"
    assert said(bidi(view(gone("a\u202egpj.exe", "\u202e")))) == ""


@pytest.mark.parametrize(
    "word",
    ["p\u0430ypal", "\u0410dmin", "s\u03bfme", "x_\u0435", "\uff45val", "\U0001d4d2\U0001d4f8de", "\u0391\u0410"],
)
def test_mixed(word: str) -> None:
    assert is_mixed(word)
    assert "\\" in said(mixed_script(view(new("a.py", f"{word} = 1\n"))))


@pytest.mark.parametrize(
    "word",
    [
        "admin",
        "\u043f\u0440\u0438\u0432\u0435\u0442",
        "caf\u00e9",
        "\u03b1\u03b2\u03b3",
        "na\u00efve",
        "\u65e5\u672c\u8a9eabc",
    ],
)
def test_not_mixed(word: str) -> None:
    assert not is_mixed(word)


def test_words_of_two_scripts_side_by_side_are_fine() -> None:
    text = "# \u043f\u0440\u0438\u0432\u0435\u0442 world, \u03b1 and x2\n"
    assert said(mixed_script(view(new("a.py", text)))) == ""


@given(st.text("abcXYZ_019"))
def test_ascii_is_never_mixed(word: str) -> None:
    assert not is_mixed(word)


@given(st.text(max_size=60))
def test_no_text_upsets_the_rules(text: str) -> None:
    file = new("a.py", text)
    assert len([*bidi(view(file)), *mixed_script(view(file))]) <= 2
