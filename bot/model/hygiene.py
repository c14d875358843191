"""Foreign text as its readers see it: what a model is shown is what people were shown, and the rest is reported.

Limits: homoglyphs, words behind a link's address, words in pictures, and formulas beyond `phantom` and white colour are
not recognised. Emoji lose their joiners and selectors; so do scripts that use joiners within words.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

import msgspec

from bot.model.hygiene_characters import Find, Hidden, decoded, drop
from bot.model.hygiene_markup import FAR, Pass

ROUNDS: Final = 8  # taking out one thing can bring to light another; who needs more than this is up to something
SAMPLE: Final = 80  # characters
SAMPLES: Final = 8  # different ones of a kind
_GROWTH: Final = 16_384  # characters that links may add when their labels are resolved
_CHARACTERS: Final = frozenset(
    {Hidden.ZERO_WIDTH, Hidden.BIDI, Hidden.TAG_CHARACTER, Hidden.SELECTOR, Hidden.FILLER, Hidden.CONTROL}
)
_PLAIN: Final = str.maketrans("<>&[]`~|\\{}", "\u2039\u203a+()'-/-()")
_WIDE: Final = re.compile(rf"[^\S\n]{{{FAR // 8},}}")


class Removed(msgspec.Struct, frozen=True):
    """Hidden passages of one kind; `sample` is printable and at most 80 characters long, what it shows is hostile."""

    kind: Hidden
    count: int
    sample: str = ""


class Cleaned(msgspec.Struct, frozen=True):
    """The visible text, and what was hidden in it; folds (`Hidden.FOLD`) are named and stay."""

    text: str
    removed: tuple[Removed, ...] = ()


def strip(text: str) -> Cleaned:
    """Reduce Markdown to what its readers see, in linear time; doing it twice changes nothing more."""
    finds: list[Find] = []
    text = drop(text, finds)
    growth = _GROWTH
    for _ in range(ROUNDS):
        one = Pass(text, growth)
        after, found = one.run()
        growth = one.growth
        if after == text:
            return Cleaned(text, _summed(finds + found))
        finds += [find for find in found if find.kind is not Hidden.FOLD]
        text = after
    finds.append(Find(Hidden.TANGLE, text))
    return Cleaned(_WIDE.sub(" ", text.translate(_PLAIN)), _summed(finds))


def strip_line(text: str) -> Cleaned:
    """Reduce a title to one line of what can be seen; forges show its markup in letters."""
    finds: list[Find] = []
    return Cleaned(" ".join(drop(text, finds).split()), _summed(finds))


def hidden(removed: Iterable[Removed]) -> int:
    """Count the passages that were taken out; folds stay."""
    return sum(each.count for each in removed if each.kind is not Hidden.FOLD)


def merged(*parts: Cleaned) -> tuple[Removed, ...]:
    """Put together what was removed from several texts, equal passages counted once."""
    counts: dict[tuple[Hidden, str], int] = {}
    for part in parts:
        for each in part.removed:
            counts[each.kind, each.sample] = counts.get((each.kind, each.sample), 0) + each.count
    return tuple(Removed(kind, count, sample) for (kind, sample), count in counts.items())


def _summed(finds: Iterable[Find]) -> tuple[Removed, ...]:
    by_kind: dict[Hidden, list[str]] = {}
    for find in finds:
        by_kind.setdefault(find.kind, []).append(find.text)
    return tuple(each for kind, texts in by_kind.items() for each in _kind(kind, texts))


def _kind(kind: Hidden, texts: list[str]) -> Iterable[Removed]:
    if kind in _CHARACTERS:
        return [Removed(kind, len(texts), _sample(decoded("".join(texts[:4_096]))))]
    counts: dict[str, int] = {}
    for text in texts:
        sample = _sample(text)
        sample = sample if sample in counts or len(counts) < SAMPLES else ""
        counts[sample] = counts.get(sample, 0) + 1
    return [Removed(kind, count, sample) for sample, count in counts.items()]


def _sample(text: str) -> str:
    words = " ".join(text[: 8 * SAMPLE].split())
    shown = "".join(char if char.isprintable() else f"\\u{ord(char):04x}" for char in words)
    return shown if len(shown) <= SAMPLE else shown[: SAMPLE - 2].rstrip() + " …"
