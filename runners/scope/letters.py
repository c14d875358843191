"""Rules about code that reads otherwise than it runs."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from typing import Final

from runners.scope.view import File, Finding, Rule, View, about, listed

# Directions, zero width, tags, selectors beyond emoji, and letters without a shape; the two emoji selectors pass.
HIDDEN: Final = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0d"
    "\ufeff\uffa0\U000e0000-\U000e01ef]"
)
CONTROL: Final = re.compile(r"[\x00-\x08\x0e-\x1f\x7f-\x9f]|\r(?!$)")
WORD: Final = re.compile(r"[^\W\d]\w*")
SCRIPTS: Final = ("LATIN", "CYRILLIC", "GREEK", "ARMENIAN", "CHEROKEE")


def bidi(view: View) -> Iterator[Finding]:
    """See characters that nobody sees."""
    for file in view.files:
        if file.is_gone:
            continue
        found: dict[str, int] = {}
        for line in _lines(file):
            for char in (*HIDDEN.findall(line), *CONTROL.findall(line)):
                found[char] = found.get(char, 0) + 1
        if found:
            yield about(Rule.BIDI, file, "holds " + listed(f"U+{ord(c):04X} x{n}" for c, n in found.items()))


def mixed_script(view: View) -> Iterator[Finding]:
    """See words whose letters come from scripts that look alike."""
    for file in view.files:
        if file.is_gone:
            continue
        words = {word for line in _lines(file) if not line.isascii() for word in WORD.findall(line) if is_mixed(word)}
        if words:
            yield about(Rule.MIXED_SCRIPT, file, "holds " + listed(words))


def is_mixed(word: str) -> bool:
    """Tell whether a word mixes Latin letters with look-alikes, or spells ASCII in letters that only look like it."""
    if word.isascii():
        return False
    letters = [char for char in word if char.isalpha()]
    scripts = {script for char in letters for script in SCRIPTS if script in unicodedata.name(char, "").split()}
    return len(scripts) > 1 or any(
        not char.isascii() and unicodedata.normalize("NFKC", char).isascii() for char in letters
    )


def _lines(file: File) -> Iterator[str]:
    """Give the path and the added lines; a byte order mark may open a file."""
    if file.is_new:
        yield file.path
    opening = file.new.partition("\n")[0]
    for line in file.added:
        yield line.removeprefix("\ufeff") if line == opening else line
