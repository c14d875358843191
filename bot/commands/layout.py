"""What each line of a comment is: words, code, quotation, or something that is not shown."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from enum import Enum, auto
from functools import cache
from typing import Final, NamedTuple

from markdown_it import MarkdownIt
from markdown_it.token import Token

from bot.model.inline import CodeSpans

MAX_BODY: Final = 262_144  # characters; longer bodies say nothing (GitHub takes 65,536)
_MARK: Final = re.compile(r"\\.|`+|<!--|<(?=[^\s<])", re.DOTALL)
_ADDRESS: Final = re.compile(r"(?:(?:https?|ftp)://|www\.)[^\s<]*", re.IGNORECASE)
_BRACKET: Final = re.compile(r"\\.|[\[\]]", re.DOTALL)
_TITLE: Final = re.compile(
    r"""\(\s*(?:<[^<>\n]*>|[^\s()]*(?:\([^\s()]*\)[^\s()]*)*)\s+"""
    r"""(?:"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|\((?:\\.|[^()\\])*\))\s*\)""",
    re.DOTALL,
)
_MARK_OR_ADDRESS: Final = re.compile(f"{_MARK.pattern}|{_ADDRESS.pattern}", re.IGNORECASE | re.DOTALL)


class Kind(Enum):
    """How a line counts."""

    WORDS = auto()  # a paragraph of the comment itself: the only place where a command acts
    OTHER = auto()  # lists, tables, headings, blank lines
    CODE = auto()
    QUOTE = auto()
    HIDDEN = auto()  # HTML comments: nobody sees them


class Layout(NamedTuple):
    """The lines of a comment, what each is, and its fenced blocks as (first line, content)."""

    lines: list[str]
    kinds: list[Kind]
    blocks: list[tuple[int, str]]


@cache
def _parser() -> MarkdownIt:
    # Blocks only: a comment of hostile inline Markdown then costs nothing.
    parser = MarkdownIt("commonmark", {"html": True, "maxNesting": 20}).enable("table")
    parser.core.ruler.enableOnly(["normalize", "block"])
    return parser


def read(body: str, quote_fence: str = "") -> Layout:
    """Tell the lines of a comment apart as a forge's Markdown does; `quote_fence` quotes up to the next one."""
    if len(body) > MAX_BODY:
        return Layout([], [], [])
    text = body.replace("\r\n", "\n").replace("\r", "\n")
    lines = text.split("\n")
    kinds = [Kind.OTHER] * len(lines)
    blocks: list[tuple[int, str]] = []
    unseen_from = len(lines)
    for token in _parser().parse(f"{text}\n"):  # without the last line feed the parser may fall off the end
        if token.type == "html_block" and token.map and _left_open(token.content):
            unseen_from = min(unseen_from, token.map[0])
        if token.level or not token.map:
            continue
        start, end = token.map
        kinds[start:end] = [_kind(token)] * (end - start)
        if token.type == "fence":
            blocks.append((start, token.content))
    for start, end in _runs(kinds, Kind.WORDS):
        for number in _inside(lines[start:end]):
            kinds[start + number] = Kind.OTHER
    for start, end in _quotations(lines, kinds, quote_fence) if quote_fence else ():
        kinds[start:end] = [Kind.QUOTE] * (end - start)
    kinds[unseen_from:] = [Kind.HIDDEN] * (len(lines) - unseen_from)
    return Layout(lines, kinds, [block for block in blocks if block[0] < unseen_from])


def hidden_spans(text: str, *, addresses: bool = False) -> Iterator[tuple[int, int, bool]]:
    """List (start, end, is a comment) of what is code, a tag or a comment within a paragraph.

    With `addresses`, a bare `https://...` runs on to the next blank, as forges read it, whatever it swallows.
    """
    code, last, last_comment = CodeSpans(text), text.rfind(">"), text.rfind("-->")
    marks, position = _MARK_OR_ADDRESS if addresses else _MARK, 0
    while found := marks.search(text, position):
        start, position, mark = found.start(), found.end(), found[0]
        is_comment = mark == "<!--" and position <= last_comment
        end = None
        if is_comment:
            end = text.find("-->", position) + 3
        elif mark[0] == "`":
            end = code.end(start)
        elif mark[0] == "<" and position <= last:
            end = text.find(">", position) + 1
        if end:
            yield start, end, is_comment
            position = end


def _kind(token: Token) -> Kind:
    match token.type:
        case "paragraph_open":
            return Kind.WORDS
        case "heading_open" if token.markup in ("-", "="):
            return Kind.WORDS  # `/approve` above a mail signature's `--` is read as a heading
        case "fence" | "code_block":
            return Kind.CODE
        case "blockquote_open":
            return Kind.QUOTE
        case "html_block" if token.content.lstrip().startswith("<!--"):
            return Kind.HIDDEN
    return Kind.OTHER


def _left_open(content: str) -> bool:
    """Tell whether a browser would read all that follows as part of this piece of HTML."""
    rest = []
    while (start := content.find("<!--")) >= 0:
        end = content.find("-->", start + 4)
        if end < 0:
            return True
        rest.append(content[:start])
        content = content[end + 3 :]
    content = "".join([*rest, content])
    return content.rfind("<") > content.rfind(">") or content.count('"') % 2 == 1


def _runs(kinds: Sequence[Kind], wanted: Kind) -> Iterator[tuple[int, int]]:
    start = None
    for number, kind in enumerate([*kinds, None]):
        if kind is wanted and start is None:
            start = number
        elif kind is not wanted and start is not None:
            yield start, number
            start = None


def _inside(lines: Sequence[str]) -> Iterator[int]:
    """List the lines of a paragraph that begin inside code, a tag, a comment, or the words and title of a link."""
    text = "\n".join(lines)
    yield from _begun_in(lines, _links(text))
    # Forges differ in what they take for an address: a line acts where it is free under either reading.
    for addresses in (False, True) if _ADDRESS.search(text) else (False,):
        yield from _begun_in(lines, list(hidden_spans(text, addresses=addresses)))


def _links(text: str) -> list[tuple[int, int, bool]]:
    """Find what stands in brackets that an address follows, and titles behind it; rather too much than too little."""
    found: list[tuple[int, int, bool]] = []
    begun: list[int] = []
    for mark in _BRACKET.finditer(text):
        if mark[0] == "[":
            begun.append(mark.start())
        elif mark[0] == "]" and begun:
            start, end = begun.pop(), mark.end()
            if text.startswith(("(", "["), end):
                title = _TITLE.match(text, end)
                end = title.end() if title else end
                while found and found[-1][0] >= start:
                    found.pop()
                found.append((start, end, False))
    return found


def _begun_in(lines: Sequence[str], spans: Sequence[tuple[int, int, bool]]) -> Iterator[int]:
    offset, index = 0, 0
    for number, line in enumerate(lines):
        while index < len(spans) and spans[index][1] <= offset:
            index += 1
        if index < len(spans) and spans[index][0] < offset:
            yield number
        offset += len(line) + 1


def _quotations(lines: Sequence[str], kinds: Sequence[Kind], fence: str) -> Iterator[tuple[int, int]]:
    opened = None
    for number, line in enumerate(lines):
        if line.rstrip() != fence or kinds[number] is Kind.CODE:
            continue
        if opened is None:
            opened = number
        else:
            yield opened, number + 1
            opened = None
