"""Find the document in a model's answer."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final

_OPENING: Final = re.compile(r" {0,3}(`{3,}|~{3,})[ \t]*(?:markdown|md|gfm|text)?[ \t]*", re.IGNORECASE)
_FENCE: Final = re.compile(r"[ \t]*(`{3,}|~{3,})([^`]*)")


def extract(answer: str) -> str:
    """Return the fenced document of an answer, else all from the first `# ` line on, else the whole answer."""
    lines = answer.replace("\r\n", "\n").split("\n")
    for start, fence in _openings(lines):
        return "\n".join(lines[start : _end(lines, start, fence)]) + "\n"
    for start in _titles(lines):
        return "\n".join(lines[start:])
    return answer


def _openings(lines: Sequence[str]) -> Iterator[tuple[int, str]]:
    for index, line in enumerate(lines):
        found = _OPENING.fullmatch(line)
        if found and next((text for text in lines[index + 1 : index + 4] if text.strip()), "").startswith("# "):
            yield index + 1, found[1]


def _titles(lines: Sequence[str]) -> Iterator[int]:
    fence = ""
    for index, line in enumerate(lines):
        if fence:
            fence = "" if _closes(line, fence) else fence
        elif found := _FENCE.fullmatch(line):
            fence = found[1]
        elif line.startswith("# "):
            yield index


def _closes(line: str, fence: str) -> bool:
    bare = line.strip()
    return len(bare) >= len(fence) and not bare.strip(fence[0])


def _end(lines: Sequence[str], start: int, outer: str) -> int:
    """Find the last line that closes the outer fence while no code block inside is open; the end where none does."""
    inner, end = "", len(lines)
    for number in range(start, len(lines)):
        line = lines[number]
        if inner:
            inner = "" if _closes(line, inner) else inner
            continue
        if _closes(line, outer):
            end = number
        if found := _FENCE.fullmatch(line):
            inner = found[1]
    return end
