"""Characters that nobody sees: which there are, and how to drop or show them."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Final, NamedTuple


class Hidden(StrEnum):
    """What foreign text can hold that people do not see; bot/reports/hidden.toml has the words."""

    ZERO_WIDTH = "zero_width"
    BIDI = "bidi"
    TAG_CHARACTER = "tag_character"
    SELECTOR = "selector"
    FILLER = "filler"
    CONTROL = "control"
    COMMENT = "comment"
    ELEMENT = "element"
    TAG = "tag"
    ATTRIBUTE = "attribute"
    ALT = "alt"
    TITLE = "title"
    LINK = "link"
    DEFINITION = "definition"
    FOOTNOTE = "footnote"
    INFO = "info"
    CELL = "cell"
    MATH = "math"
    FAR = "far"
    TANGLE = "tangle"
    FOLD = "fold"  # kept: one click shows it


class Find(NamedTuple):
    """One hidden passage, as it was written."""

    kind: Hidden
    text: str


_RANGES: Final = (
    (Hidden.ZERO_WIDTH, "\u00ad\u034f\u180e\u200b-\u200d\u2060-\u2065\ufeff\ufff0-\ufff8\U0001bca0-\U0001bca3"),
    (Hidden.BIDI, "\u061c\u200e\u200f\u202a-\u202e\u2066-\u206f"),
    (Hidden.TAG_CHARACTER, "\U000e0000-\U000e00ff"),
    (Hidden.SELECTOR, "\u180b-\u180d\u180f\ufe00-\ufe0f\U000e0100-\U000e01ef"),
    (Hidden.FILLER, "\u115f\u1160\u17b4\u17b5\u3164\uffa0\ufffc\U000e01f0-\U000e0fff"),
    (
        Hidden.CONTROL,
        "\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ufff9-\ufffb\ud800-\udfff\U0001d173-\U0001d17a",
    ),
)
UNSEEN: Final = re.compile("[" + "".join(span for _, span in _RANGES) + "]")
_RUN: Final = re.compile(UNSEEN.pattern + "+")
_KINDS: Final = tuple((kind, re.compile(f"[{span}]")) for kind, span in _RANGES)
# How emoji are put together: dropped like the rest, and nothing to tell people about.
_EMOJI: Final = re.compile(
    "(?<=[\u00a9-\u02ff\u2030-\u2055\u20a0-\u3163\u3165-\ud7ff\U0001f000-\U0001faff])(?:\ufe0f\u200d?|\u200d)"
    "|(?<=[0-9#*])\ufe0f(?=\u20e3)"
)


def drop(text: str, finds: list[Find]) -> str:
    """Bring line ends to LF and drop what cannot be seen, tabs and line feeds excepted; note each run."""
    text = _EMOJI.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))

    def note(run: re.Match[str]) -> str:
        for kind, one in _KINDS:
            finds.extend(Find(kind, each) for each in one.findall(run[0]))
        return ""

    return _RUN.sub(note, text)


def kind_of(char: str) -> Hidden | None:
    """Name the kind of a character that cannot be seen, None for all others."""
    return next((kind for kind, one in _KINDS if one.match(char)), None)


def seen(text: str) -> str:
    """Leave only what can be seen, for text whose markup stands there in letters, such as a title or a draft."""
    return UNSEEN.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))


def spelled(text: str) -> str:
    """Spell out what cannot be seen as `<U+200B>`, for diffs and output, where it is part of the matter."""
    return UNSEEN.sub(lambda found: f"<U+{ord(found[0]):04X}>", text.replace("\r\n", "\n"))


def decoded(text: str) -> str:
    """Read what invisible characters say: tag characters as the letters they shadow, others by their numbers."""
    shadows = "".join(chr(ord(each) - 0xE0000) for each in text if 0xE0020 <= ord(each) <= 0xE007E)
    return shadows or " ".join(f"U+{ord(each):04X}" for each in dict.fromkeys(text))
