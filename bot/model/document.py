"""What spec.md and plan.md have in common: normal form, lines, sections, items, errors."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from typing import Final, NamedTuple, TypeVar

from bot.model.errors import GatewrightError

MAX_CHARACTERS: Final = 100_000
MAX_ENTRIES: Final = 99  # criteria of a spec, steps of a plan
MAX_TITLE: Final = 200

# Controls, and marks that make text read otherwise than it is stored (bidirectional overrides, tag characters).
_UNSEEN: Final = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\U000e0000-\U000e007f]"
)
_HEADING: Final = re.compile(r"(#{1,6})[ \t]+(\S.*)")
_SHIFTED_HEADING: Final = re.compile(r" {1,3}#{1,2}[ \t]")
_FENCE: Final = re.compile(r"( {0,3}(?:(?:[-*+]|1[.)]) {1,3})*)(`{3,}|~{3,})(.*)")
_HTML: Final = re.compile(r" {0,3}(?:(?:[-*+]|\d{1,9}[.)]) +)*<(?!https?:|mailto:)[A-Za-z/!?]")
_BULLETS: Final = ("- ", "* ")
_NOTHING: Final = frozenset({"none", "none.", "- none", "- none.", "* none", "* none."})

Value = TypeVar("Value")


class DocumentError(GatewrightError):
    """A spec or plan does not follow its format; `line` counts from 1, `expected` says what would be right."""

    def __init__(self, line: int, what: str, expected: str) -> None:
        super().__init__("GW-DOCUMENT-FORMAT", f"line {line}: {what}", fix=f"expected: {expected}")
        self.line = line
        self.expected = expected


class Line(NamedTuple):
    """One line with its number; `fenced` lines are code and mean nothing to the format."""

    number: int
    text: str
    fenced: bool

    @property
    def heading(self) -> tuple[int, str] | None:
        """Give level and words where this line is a heading."""
        found = None if self.fenced else _HEADING.fullmatch(self.text)
        return (len(found[1]), found[2]) if found else None


class Section(NamedTuple):
    """A `## ` heading and what stands below it."""

    name: str
    line: int
    body: tuple[Line, ...]


class Outline(NamedTuple):
    """A document cut at its title and sections."""

    title: str
    summary: str
    sections: dict[str, Section]
    end: int  # number of the last line


class Item(NamedTuple):
    """One list item, continuation lines included."""

    line: int
    text: str


def normalise(text: str) -> str:
    """Bring text to LF, no blanks at line ends or around it, no byte order mark, one final newline."""
    text = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    return "\n".join(line.rstrip(" \t") for line in text.split("\n")).strip("\n") + "\n"


def outline(text: str, names: Sequence[str]) -> Outline:
    """Cut a document into title, summary and the named sections; raise DocumentError for anything else."""
    lines = _scan(normalise(text))
    first = lines[0].heading
    if first is None or first[0] != 1:
        raise DocumentError(1, "the document does not begin with a title", "`# Title` as the first line")
    if len(first[1]) > MAX_TITLE:
        raise DocumentError(1, f"the title is longer than {MAX_TITLE} characters", "a short title")
    preamble, sections = _sections(lines[1:], names)
    if not preamble:
        raise DocumentError(2, "there is no summary", "a paragraph between the title and the first `## ` heading")
    return Outline(first[1], preamble, sections, len(lines))


def prose(lines: Iterable[Line]) -> str:
    """Join lines to a text without blank lines around it."""
    return "\n".join(line.text for line in lines).strip("\n")


def items(section: Section | None, shape: str = "- item") -> list[Item]:
    """Read a list whose continuation lines are indented by two spaces; `None.` is an empty list."""
    if section is None or prose(section.body).lower() in _NOTHING:
        return []
    found: list[tuple[int, list[str]]] = []
    for line in section.body:
        if line.text.startswith(_BULLETS):
            found.append((line.number, [line.text[2:].lstrip()]))
        elif found and (not line.text or line.text.startswith("  ")):
            found[-1][1].append(line.text[2:])
        elif line.text:
            raise DocumentError(
                line.number,
                f"this is no item of `## {section.name}`",
                f"`{shape}`, or a line that goes on with an item, indented by two spaces",
            )
    return [Item(number, "\n".join(parts).rstrip("\n")) for number, parts in found]


def write_list(entries: Iterable[str]) -> str:
    """Write items the way `items` reads them."""
    return "\n".join(f"- {_indent(entry)}" for entry in entries)


def write_section(name: str, entries: Sequence[str]) -> list[str]:
    """Write an optional section, nothing where it is empty."""
    return [f"## {name}", write_list(entries)] if entries else []


def written(value: Value, blocks: Iterable[str], parse: Callable[[str], Value]) -> str:
    """Join blocks to a document and prove that it reads back as the same value."""
    text = normalise("\n\n".join(blocks))
    if parse(text) != value:
        raise DocumentError(1, "this value cannot be written down", "text without blanks at line ends, no empty fields")
    return text


def nearest(word: str, known: Sequence[str]) -> str:
    """Say which known name was probably meant, or list them all."""
    close = difflib.get_close_matches(word.lower(), [name.lower() for name in known], n=1, cutoff=0.5)
    meant = next((name for name in known if close and name.lower() == close[0]), None)
    return f"did you mean `## {meant}`?" if meant else "one of " + ", ".join(f"`## {name}`" for name in known)


def _indent(text: str) -> str:
    return "\n".join(f"  {line}" if index and line else line for index, line in enumerate(text.split("\n")))


def _sections(lines: Sequence[Line], names: Sequence[str]) -> tuple[str, dict[str, Section]]:
    known = {name.lower(): name for name in names}
    starts = [index for index, line in enumerate(lines) if (head := line.heading) and head[0] <= 2]
    sections: dict[str, Section] = {}
    for start, stop in pairwise([*starts, len(lines)]):
        level, words = lines[start].heading or (0, "")
        number = lines[start].number
        if level == 1:
            raise DocumentError(number, "this is a second title", "one `# ` heading, at the top")
        name = known.get(words.rstrip(":").lower())
        if name is None:
            raise DocumentError(number, f"the format has no section `## {words}`", nearest(words, names))
        if name in sections:
            raise DocumentError(number, f"`## {name}` stands here twice", f"one `## {name}`")
        sections[name] = Section(name, number, tuple(lines[start + 1 : stop]))
    return prose(lines[: starts[0]] if starts else lines), sections


def _scan(text: str) -> list[Line]:
    if len(text) > MAX_CHARACTERS:
        raise DocumentError(1, f"the document has {len(text)} characters", f"at most {MAX_CHARACTERS}")
    lines = _fences(text.removesuffix("\n").split("\n"))
    for line in lines:
        if unseen := _UNSEEN.search(line.text):
            raise DocumentError(line.number, f"character U+{ord(unseen[0]):04X} cannot be seen", "visible text")
        if not line.fenced:
            _readable(line)
    return lines


def _readable(line: Line) -> None:
    if _SHIFTED_HEADING.match(line.text):
        raise DocumentError(line.number, "this heading is indented", "headings at the start of the line")
    if "<!--" in line.text or _HTML.match(line.text):
        raise DocumentError(
            line.number, "HTML can hide text from those who approve", "Markdown; code that is HTML in a fenced block"
        )


def _fences(texts: Sequence[str]) -> list[Line]:
    """Tell code from the rest; no reading of Markdown may find text outside a fence that lies inside one here."""
    lines: list[Line] = []
    opened, fence, indent = 0, "", 0
    for number, text in enumerate(texts, start=1):
        found = _FENCE.match(text)
        if fence:
            if text and text[:indent].strip():
                raise DocumentError(number, "this line leaves an indented code block", f"{indent} blanks before it")
            lines.append(Line(number, text, fenced=True))
            bare = text.strip()
            fence = "" if len(bare) >= len(fence) and not bare.strip(fence[0]) else fence
        elif found and not (found[2][0] == "`" and "`" in found[3]):
            opened, fence, indent = number, found[2], len(found[1])
            lines.append(Line(number, text, fenced=True))
        else:
            lines.append(Line(number, text, fenced=False))
    if fence:
        raise DocumentError(opened, "this code fence is never closed", f"a line `{fence}` below it")
    return lines
