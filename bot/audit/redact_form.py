"""What a secret looks like: where to begin looking, how far it goes, and what is none."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final, NamedTuple

# No word goes on in front of a token; an escape of JSON (`\n`, `\u0022`) or of a URL (`%22`) is no part of a word.
START: Final = rb"(?:(?<![A-Za-z0-9_-])|(?<=\\[nrtbf])|(?<=\\u[0-9A-Fa-f]{4})|(?<=%[0-9A-Fa-f]{2}))"
END: Final = rb"(?![A-Za-z0-9_])"

# What writers of documents and tests put where a secret would stand.
STAND_IN: Final = re.compile(
    rb"(?i)example|placeholder|redacted|change[_-]?me|dummy|insert|replace[_-]?|your[_-]|_here\b|x{4}|\*{3}|\.{4}"
    rb"|(.)\1{7}|not[_-]?a[_-]?real|fake[_-]|notreal|sk-test-|fixture"
)
FEWEST: Final = 5  # different characters that anything drawn at random holds


class Form(NamedTuple):
    """One kind of secret.

    `pattern` is tried `back` bytes before each anchor and nowhere else, so that the work is bounded by the number of
    anchors; its group `value`, where it has one, is all that is cut out, and whatever `run` matches behind it. With
    `folds` anchors are in lower case and found whatever the case. `judge` tells a secret from what stands in for one.
    """

    kind: str
    anchors: tuple[bytes, ...]
    pattern: re.Pattern[bytes]
    judge: Callable[[re.Match[bytes]], bool]
    folds: bool = False
    back: int = 0
    run: re.Pattern[bytes] | None = None


def is_drawn(value: bytes) -> bool:
    """Tell what may have been drawn at random from what stands in for it."""
    return STAND_IN.search(value[:2048]) is None and len(set(value)) >= FEWEST


def span_of(match: re.Match[bytes]) -> tuple[int, int]:
    """Say which bytes of a match are cut out."""
    return match.span("value" if "value" in match.re.groupindex else 0)


def is_live(match: re.Match[bytes]) -> bool:
    """Judge a match by its value alone."""
    start, end = span_of(match)
    return is_drawn(match.string[start:end])
