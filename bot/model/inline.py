"""Where inline code lies in a paragraph of Markdown (CommonMark 6.1)."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import defaultdict
from typing import Final

_RUN: Final = re.compile(r"`+")
_NEXT: Final = re.compile(r"\\.|`+", re.DOTALL)


class CodeSpans:
    """Find code spans in one paragraph; linear however the back-ticks are laid out."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._runs: dict[int, list[int]] = defaultdict(list)
        for run in _RUN.finditer(text):
            self._runs[len(run[0])].append(run.start())

    def end(self, start: int) -> int | None:
        """Return where the span that opens at `start` ends, None where nothing closes it."""
        opening = _RUN.match(self._text, start)
        if opening is None:
            return None
        size = len(opening[0])
        closers = self._runs.get(size, [])
        index = bisect_left(closers, opening.end())
        return closers[index] + size if index < len(closers) else None


def code_spans(text: str) -> list[tuple[int, int]]:
    """List (start, end) of every code span, back-ticks included."""
    spans: list[tuple[int, int]] = []
    finder, position = CodeSpans(text), 0
    while found := _NEXT.search(text, position):
        position = found.end()
        if found[0][0] == "`" and (end := finder.end(found.start())) is not None:
            spans.append((found.start(), end))
            position = end
    return spans
