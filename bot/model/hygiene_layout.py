"""Where in a piece of Markdown prose, HTML, table rows and code lie, and what its links are defined as."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from enum import Enum, auto
from functools import cache
from typing import Any, Final, NamedTuple

from markdown_it import MarkdownIt
from markdown_it.common.utils import normalizeReference
from markdown_it.token import Token

from bot.model.hygiene_tags import INLINE

_QUOTE: Final = re.compile(r"[ \t]*>")
_HEAD: Final = r"(?:[ \t>]|[-+*][ \t]|\d{1,9}[.)][ \t])*+"  # marks of the quotations and lists around
_MARKS: Final = re.compile(_HEAD)
_FOOTNOTE: Final = re.compile(rf"{_HEAD}\[\^([^\]\s]+)\]:")
_TITLE: Final = r"""(?:"[^"]*+"|'[^']*+'|\([^()]*+\))"""
_LAX_DEFINITION: Final = re.compile(
    rf"{_HEAD}\[(?!\^)(?:[^\[\]\\]|\\.){{1,999}}\]:[ \t]*\n?[ \t>]*[^\s<]\S*+"
    rf"(?:[ \t]*\n?[ \t]*{_TITLE})?+[ \t]*(?:\n|\Z)"
)
_ADDRESS_TICK: Final = re.compile(r"(?:(?:https?|ftp)://|www\.)[^\s<`]*`", re.IGNORECASE)
_RULE_ROW: Final = re.compile(r"^[ \t>]*[|:-][|: \t-]*-[|: \t-]*$", re.MULTILINE)
_LONE_TAG: Final = re.compile(rf"^[ \t]*(?:{INLINE.pattern})[ \t]*$", re.MULTILINE)
_LEAVES: Final = ("inline", "fence", "code_block", "html_block", "tr_open", "hr")


class Kind(Enum):
    """How a piece is read."""

    PROSE = auto()
    UNSURE = auto()  # prose whose back-ticks forges may read in different ways: none of it counts as code
    HTML = auto()
    ROW = auto()
    CODE = auto()
    DEFINITION = auto()
    FOOTNOTE = auto()


class Piece(NamedTuple):
    """A stretch of characters; `columns` of a table row, `info` (start, end) of a fence, `name` of a definition.

    `is_inside` tells prose in a list or quotation.
    """

    kind: Kind
    start: int
    end: int
    columns: int = 0
    info: tuple[int, int] = (0, 0)
    name: str = ""
    is_inside: bool = False

    @property
    def is_indented(self) -> bool:
        """Tell code by indentation from fenced code."""
        return self.kind is Kind.CODE and self.info == (0, 0)


class Layout(NamedTuple):
    """`view` is the text with the marks of quotations blanked on continuation lines, character for character."""

    view: str
    pieces: list[Piece]
    links: Mapping[str, str]  # normalised label -> destination
    titles: Mapping[str, str]


@cache
def _parser() -> MarkdownIt:
    # Blocks only: a text of hostile inline Markdown then costs nothing.
    parser = MarkdownIt("commonmark", {"html": True, "maxNesting": 20}).enable("table")
    parser.core.ruler.enableOnly(["normalize", "block"])
    return parser


def label(text: str) -> str:
    """Normalise a link label as Markdown compares them."""
    return str(normalizeReference(text.strip()))


def read(text: str) -> Layout:
    """Lay a text out; lines that no block claims (too deeply nested) count as unsure prose."""
    lines = text.split("\n")
    starts = [0]
    for line in lines:
        starts.append(starts[-1] + len(line) + 1)
    env: dict[str, Any] = {}
    tokens = _parser().parse(f"{text}\n", env)  # without the last line feed the parser may fall off the end
    shown, claimed = list(lines), [False] * len(lines)
    found = list(_blocks(tokens, lines, starts, shown, claimed))
    found += _definitions(env, starts, claimed)
    found += _unclaimed(lines, starts, claimed)
    found.sort(key=lambda piece: piece.start)
    notes = list(_footnotes(found, lines, starts))
    view = "\n".join(shown)
    known = {name: entry for name, entry in env.get("references", {}).items() if not name.startswith("^")}
    return Layout(
        view,
        sorted([*notes, *_refined(found, notes, view)], key=lambda piece: piece.start),
        {name: str(entry["href"]) for name, entry in known.items()},
        {name: str(entry["title"]) for name, entry in known.items()},
    )


def _blocks(
    tokens: Sequence[Token], lines: Sequence[str], starts: Sequence[int], shown: list[str], claimed: list[bool]
) -> Iterator[Piece]:
    quotes, columns, is_row = 0, 0, False
    for token in tokens:
        quotes += token.nesting if token.type.startswith("blockquote") else 0
        if token.type == "table_open" and token.map:
            columns = 0
            claimed[token.map[0] + 1] = True  # the row of dashes
        elif token.type == "th_open":
            columns += 1  # seen after its row began: the row that sets the number is never too long
        elif token.type in ("tr_open", "tr_close"):
            is_row = token.nesting == 1
        if not token.map or token.type not in _LEAVES or (token.type == "inline" and is_row):
            continue
        first, last = token.map[0], min(token.map[1], len(lines))
        claimed[first:last] = [True] * (last - first)
        for number in range(first + 1, last):
            shown[number] = _unquoted(lines[number], quotes)
        yield _piece(token, lines[first], starts[first], min(starts[last], starts[-1]) - 1, columns)


def _piece(token: Token, line: str, start: int, end: int, columns: int) -> Piece:
    match token.type:
        case "fence":
            at = line.index(token.markup) + len(token.markup)
            return Piece(Kind.CODE, start, end, info=(start + at, start + len(line)))
        case "code_block" | "hr":
            return Piece(Kind.CODE, start, end)
        case "html_block":
            return Piece(Kind.HTML, start, end)
        case "tr_open":
            return Piece(Kind.ROW, start, end, columns=columns)
    is_unsure = bool(_ADDRESS_TICK.search(token.content)) or (
        "|" in token.content and bool(_RULE_ROW.search(token.content))
    )
    return Piece(Kind.UNSURE if is_unsure else Kind.PROSE, start, end, is_inside=token.level > 1)


def _unquoted(line: str, quotes: int) -> str:
    position = 0
    for _ in range(quotes):
        mark = _QUOTE.match(line, position)
        if mark is None:
            break
        position = mark.end()
    return " " * position + line[position:]


def _definitions(env: Mapping[str, Any], starts: Sequence[int], claimed: list[bool]) -> Iterator[Piece]:
    entries = [(name, entry) for name, entry in env.get("references", {}).items()]
    entries += [(f"{entry['label']}\n", entry) for entry in env.get("duplicate_refs", ())]  # never counts
    for name, entry in entries:
        first, last = entry["map"][0], min(entry["map"][1], len(starts) - 1)
        if name.startswith("^"):
            continue  # a footnote of one word
        claimed[first:last] = [True] * (last - first)
        yield Piece(Kind.DEFINITION, starts[first], min(starts[last], starts[-1] - 1), name=name)


def _unclaimed(lines: Sequence[str], starts: Sequence[int], claimed: Sequence[bool]) -> Iterator[Piece]:
    for number, line in enumerate(lines):
        if not claimed[number] and line.strip():
            yield Piece(Kind.UNSURE, starts[number], starts[number] + len(line))


def _footnotes(pieces: Sequence[Piece], lines: Sequence[str], starts: Sequence[int]) -> Iterator[Piece]:
    """Find `[^x]: ...` with all that belongs to it: the rest of its paragraph and what is indented below."""
    numbers = {start: number for number, start in enumerate(starts)}
    for piece in pieces:
        number = numbers.get(piece.start) if piece.kind in (Kind.PROSE, Kind.UNSURE) else None
        while number is not None and starts[number] < piece.end:
            if note := _FOOTNOTE.match(lines[number]):
                last = _note_end(lines, number)
                yield Piece(Kind.FOOTNOTE, starts[number], min(starts[last], starts[-1] - 1), name=note[1])
            number += 1


def _refined(pieces: Sequence[Piece], notes: Sequence[Piece], view: str) -> Iterator[Piece]:
    """Read pieces again where forges know more than plain Markdown: footnotes hold blocks, and laxer definitions."""
    ends = iter([(note.start, note.end) for note in notes])
    start, end = next(ends, (len(view), 0))
    for piece in pieces:
        while end and end <= piece.start:
            start, end = next(ends, (len(view), 0))
        if start <= piece.start and (piece.kind in (Kind.PROSE, Kind.UNSURE) or piece.is_indented):
            yield from _noted(piece, view)
        elif piece.kind in (Kind.PROSE, Kind.UNSURE):
            yield from _defining(piece, view)
        else:
            yield piece


def _noted(piece: Piece, view: str) -> Iterator[Piece]:
    """Read a paragraph of a footnote, or what is indented there: it may be any block."""
    note = _FOOTNOTE.match(view, piece.start, piece.end)
    marks = _MARKS.match(view, note.end() if note else piece.start, piece.end)
    start = marks.end() if marks else piece.start
    while start < piece.end and (found := _LAX_DEFINITION.match(view, start, piece.end)):
        yield Piece(Kind.DEFINITION, start, found.end(), name="\n")
        start = found.end()
    if start < piece.end:
        yield piece._replace(kind=Kind.HTML if view.startswith("<", start) else Kind.UNSURE)


def _defining(piece: Piece, view: str) -> Iterator[Piece]:
    """Split off what some forges take for definitions at the head of a paragraph; they know laxer targets."""
    start = piece.start
    while start < piece.end and (found := _LAX_DEFINITION.match(view, start, piece.end)):
        yield Piece(Kind.DEFINITION, start, found.end(), name="\n")
        start = found.end()
    if start < piece.end:
        yield piece._replace(start=start)
        # An HTML tag alone on its line begins a block in lists and quotations, for some, where it lacks their marks.
        if piece.is_inside and (tag := _LONE_TAG.search(view, start, piece.end)):
            yield Piece(Kind.HTML, tag.start(), piece.end)


def _note_end(lines: Sequence[str], number: int) -> int:
    last = number + 1
    while last < len(lines):
        is_inside = lines[last].startswith(("    ", "\t"))
        is_below = not lines[last - 1].strip() and bool(lines[last].strip())
        if not is_inside and (is_below or _FOOTNOTE.match(lines[last])):
            break
        last += 1
    return last
