"""Take out of Markdown what its readers do not see: one pass over the source."""

from __future__ import annotations

import re
from typing import Final

from bot.model.hygiene_characters import Find, Hidden, kind_of
from bot.model.hygiene_edits import Edits
from bot.model.hygiene_layout import Kind, Layout, Piece, label, read
from bot.model.hygiene_links import LABEL, Bracket, Brackets, inline_target
from bot.model.hygiene_tags import AUTOLINK, INLINE, LENIENT, Tag, address
from bot.model.inline import CodeSpans

FAR: Final = 80  # columns of white space after which text is out of sight
_SPACE: Final = re.compile(r"[^\S\n]{11,}")
_TAB: Final = 8
_REFERENCE: Final = r"&(?:#\d{1,8}|#[xX][0-9a-fA-F]{1,7}|[A-Za-z][A-Za-z0-9]{1,31});?"
_MATH: Final = r"\\(?:[hv]?phantom|(?:text)?color\s*\{\s*(?:white|transparent|#[fF]{3,6})\s*\})\s*\{[^{}]*\}"
_PROSE: Final = re.compile(rf"{_MATH}|\\[!-/:-@\[-`{{-~]|`+|<|!?\[|\]|{_REFERENCE}")
_HTML: Final = re.compile(rf"<|{_REFERENCE}")
_CELL_END: Final = re.compile(r"(?<!\\)\|")
_FENCE_NAME: Final = re.compile(r"\s*[A-Za-z0-9+#._-]{0,16}")
_FENCE: Final = re.compile(r"^[ \t>]*(?:`{3,}|~{3,})([^`\n]*)$", re.MULTILINE)  # where only some see a fence
_DIAGRAM_COMMENT: Final = re.compile(r"^[ \t>]*%%.*$", re.MULTILINE)
_COMMENT_END: Final = re.compile(r"--!?>")
_ANY_END: Final = re.compile(">")
_CLOSING: Final = (("<!--", "-->"), ("<?", "?>"), ("<![CDATA[", "]]>"), ("<!", ">"))
_COMMON_ALT: Final = ("", "image", "img", "screenshot")  # what forges themselves put there
# Named references to characters without a shape; HTML knows no others that forges decode.
_NAMED: Final = {
    "shy": "\u00ad", "zerowidthspace": "\u200b", "zwnj": "\u200c", "zwj": "\u200d", "lrm": "\u200e", "rlm": "\u200f",
    "nobreak": "\u2060", "af": "\u2061", "applyfunction": "\u2061", "it": "\u2062", "invisibletimes": "\u2062",
    "ic": "\u2063", "invisiblecomma": "\u2063", "negativeverythinspace": "\u200b", "negativethinspace": "\u200b",
    "negativemediumspace": "\u200b", "negativethickspace": "\u200b",
}  # fmt: skip


class Pass:
    """Gathers edits piece by piece; an element or comment that is left open hides what follows."""

    def __init__(self, text: str, growth: int) -> None:
        self.text = text
        self.growth = growth  # characters that resolved links may still add
        self._layout: Layout = read(text)
        self._view = self._layout.view
        self._edits = Edits()
        self._hidden: tuple[Tag, int, int] | None = None  # an element out of sight, its depth, where it begins
        self._is_over = False  # something that was left open took the rest
        self._used: set[str] = set()
        self._is_note = False  # whether the present piece belongs to a footnote
        self._note_end = 0
        self._noted: set[str] = set()  # footnotes that the text outside of footnotes refers to
        self._last: dict[tuple[str, int], int] = {}

    def run(self) -> tuple[str, list[Find]]:
        """Return the text without what was found, and the finds."""
        for piece in self._layout.pieces:
            if not self._is_over:
                self._piece(piece)
        if self._hidden:
            tag, _, start = self._hidden
            end = len(self.text) if tag.swallows or self._is_over else start + len(tag.source)
            self._edits.cut(start, end, Find(Hidden.ELEMENT, self._view[start:end]))
        self._definitions()
        return self._edits.applied(self.text)

    def _piece(self, piece: Piece) -> None:
        if piece.kind is Kind.FOOTNOTE:
            self._note_end = max(piece.end, self._note_end)
        self._is_note = piece.start < self._note_end
        match piece.kind:
            case Kind.CODE:
                self._code(piece)
            case Kind.HTML:
                self._html(piece.start, piece.end)
            case Kind.ROW:
                self._row(piece)
            case Kind.PROSE | Kind.UNSURE:
                self._prose(piece.start, piece.end, has_code=piece.kind is Kind.PROSE)
                for fence in _FENCE.finditer(self._view, piece.start, piece.end):
                    self._info(fence.start(1), fence.end(1))
            case _:
                return
        is_kept = piece.kind is Kind.CODE or self._is_note or "<pre" in self._view[piece.start : piece.end].lower()
        self._far(piece.start, piece.end, is_kept=is_kept)

    # Code is shown as it stands, save what stands outside its box.

    def _code(self, piece: Piece) -> None:
        if self._info(*piece.info) == "mermaid":
            for found in _DIAGRAM_COMMENT.finditer(self._view, piece.info[1], piece.end):
                self._edits.cut(found.start(), found.end(), Find(Hidden.COMMENT, found[0]))

    def _info(self, start: int, end: int) -> str:
        """Cut what follows the name of the language, and answer that name."""
        words = self._view[start:end]
        name = _FENCE_NAME.match(words)
        if name and words[name.end() :].strip():
            self._edits.cut(start + name.end(), end, Find(Hidden.INFO, words))
        return name[0].strip().lower() if name else ""

    def _far(self, start: int, end: int, *, is_kept: bool) -> None:
        """Cut what white space pushes out of sight, and the white space alone where readers see it collapsed."""
        for found in _SPACE.finditer(self._view, start, end):
            if len(found[0]) + found[0].count("\t") * (_TAB - 1) <= FAR:
                continue
            stop = self._view.find("\n", found.end(), end)
            stop = end if stop < 0 else stop
            if is_kept and stop > found.end():
                self._edits.cut(found.start(), stop, Find(Hidden.FAR, self._view[found.end() : stop]))
            else:
                self._edits.put(found.start(), found.end(), " " if stop > found.end() else "")

    # HTML, as browsers read it.

    def _html(self, position: int, end: int) -> None:
        while not self._is_over and (mark := _HTML.search(self._view, position, end)):
            position = mark.end()
            first, second = self._view[position : position + 1] or " ", self._view[position + 1 : position + 2]
            if mark[0] != "<":
                self._reference(mark)
            elif first in "!?" or (first == "/" and not _is_letter(second)):
                position = self._bogus(mark.start(), end)
            elif _is_letter(first) or first == "/":
                tag = LENIENT.match(self._view, mark.start(), end)
                position = self._tag(tag) if tag else self._unclosed(mark.start(), end)

    def _bogus(self, start: int, end: int) -> int:
        """Cut a comment, or what browsers take for one; an open comment takes all that follows."""
        is_comment = self._view.startswith("<!--", start)
        found = (_COMMENT_END if is_comment else _ANY_END).search(self._view, start + 2, end)
        if found is None and is_comment:
            self._is_over, end = True, len(self.text)
        stop = found.end() if found else end
        if not self._hidden or self._is_over:
            self._edits.cut(start, stop, Find(Hidden.COMMENT, self._view[start:stop]))
        return stop

    def _unclosed(self, start: int, end: int) -> int:
        """Cut a tag without an end: the next block's tag closes it, unless a quotation mark is open."""
        rest = self._view[start:end]
        if rest.count('"') % 2 or rest.count("'") % 2:
            self._is_over, end = True, len(self.text)
        self._edits.cut(start, end, Find(Hidden.TAG, self._view[start:end]))
        return end

    def _tag(self, found: re.Match[str]) -> int:
        tag = Tag(found[0])
        if self._hidden:
            self._inside(tag, found.end())
        elif tag.hides:
            self._hidden = (tag, 1, found.start())
        else:
            self._edits.put(found.start(), found.end(), tag.written(), *tag.finds())
            if tag.name == "details" and not tag.is_closing:
                below = self._view[found.end() : found.end() + 160]
                self._edits.put(found.end(), found.end(), "", Find(Hidden.FOLD, re.sub(r"<[^>]*>", " ", below)))
        return found.end()

    def _inside(self, tag: Tag, end: int) -> None:
        if self._hidden is None or tag.name != self._hidden[0].name:
            return
        outer, depth, start = self._hidden
        depth += -1 if tag.is_closing else 1
        self._hidden = (outer, depth, start) if depth else None
        if not depth:
            self._edits.cut(start, end, Find(Hidden.ELEMENT, self._view[start:end]))

    # Prose.

    def _row(self, piece: Piece) -> None:
        line = self._view[piece.start : piece.end]
        ends = [found.start() for found in _CELL_END.finditer(line)]
        cells = list(zip([-1, *ends], [*ends, len(line)], strict=True))
        if len(cells) > 1 and not line[: cells[0][1]].strip():
            cells = cells[1:]
        if len(cells) > 1 and not line[cells[-1][0] + 1 :].strip():
            cells = cells[:-1]
        for start, end in cells:
            self._prose(piece.start + start + 1, piece.start + end)
        if piece.columns and len(cells) > piece.columns:
            start = piece.start + cells[piece.columns][0]
            self._edits.cut(start, piece.end, Find(Hidden.CELL, self._view[start : piece.end]))

    def _prose(self, start: int, end: int, *, has_code: bool = True) -> None:
        position, brackets = start, Brackets()
        code = CodeSpans(self._view[start:end]) if has_code else None
        while not self._is_over and (mark := _PROSE.search(self._view, position, end)):
            position, word = mark.end(), mark[0]
            if word[0] == "`":
                stop = code.end(mark.start() - start) if code else None
                position = start + stop if stop else position
            elif word == "<":
                position = self._angle(mark.start(), end)
            elif word in ("[", "!["):
                brackets.open(mark.start(), mark.end(), is_image=word == "![")
            elif word == "]":
                position = self._link(brackets.close(), mark.start(), end)
            elif word[0] == "&":
                self._reference(mark)
            elif len(word) > 2:
                self._edits.cut(mark.start(), mark.end(), Find(Hidden.MATH, word))

    def _angle(self, start: int, end: int) -> int:
        for opening, closing in _CLOSING:
            if self._view.startswith(opening, start):
                stop = self._view.find(closing, start + 2, end) if self._closes(closing, start, end) else -1
                if stop < 0 or (opening == "<!" and not _is_letter(self._view[start + 2])):
                    return start + 1
                stop += len(closing)
                if not self._hidden:
                    self._edits.cut(start, stop, Find(Hidden.COMMENT, self._view[start:stop]))
                self._rest(opening, start, stop)
                # Older Markdown knows fewer declarations, and sees what begins inside of others.
                return stop if opening != "<!" else start + 2
        if not self._closes(">", start, end):
            return start + 1
        if plain := AUTOLINK.match(self._view, start, end):
            return plain.end()
        tag = INLINE.match(self._view, start, end)
        return self._tag(tag) if tag else start + 1

    def _rest(self, opening: str, start: int, stop: int) -> None:
        """Read on where browsers end a comment or instruction earlier than Markdown does: the rest is HTML to them."""
        early = (_COMMENT_END if opening == "<!--" else _ANY_END).search(self._view, start + 2, stop)
        if early and early.end() < stop:
            self._html(early.end(), stop)

    def _closes(self, closing: str, start: int, end: int) -> bool:
        """Tell whether it is worth while to look for the end, so that no text is searched again and again."""
        if (closing, end) not in self._last:
            self._last[closing, end] = self._view.rfind(closing, start, end)
        return self._last[closing, end] > start

    def _link(self, opened: Bracket | None, close: int, end: int) -> int:
        if opened is None:
            return close + 1
        target = inline_target(self._view, close + 1, end)
        if target is None:
            return self._by_label(opened, close, end)
        kept = address(target.address)
        finds = [Find(Hidden.TITLE, target.title)] if target.title else []
        finds += [Find(Hidden.LINK, target.address)] if target.address and not kept else []
        if finds:
            self._edits.put(target.start, target.end, f"({kept})", *finds)
        self._words(opened, close, target.end, target.address)
        return target.end

    def _by_label(self, opened: Bracket, close: int, end: int) -> int:
        """Resolve `[words][label]`, `[label][]` and `[label]`, because labels are not shown."""
        if (
            not self._is_note
            and self._view[opened.inner : opened.inner + 1] == "^"
            and self._view[close + 1 : close + 2] != ":"
        ):
            self._noted.add(self._view[opened.inner + 1 : close])
        if not self._layout.links:
            return close + 1
        given = LABEL.match(self._view, close + 1, end)
        words = self._view[opened.inner : close] if opened.is_simple and close - opened.inner < 1000 else ""
        name = label(given[1] if given and given[1].strip() else words)
        if name not in self._layout.links:
            return close + 1
        stop = given.end() if given else close + 1
        target = address(self._layout.links[name])
        self._used.add(name)
        self.growth -= len(target)
        self._edits.put(close + 1, stop, f"({target if self.growth > 0 else ''})")
        self._words(opened, close, stop, target)
        return stop

    def _words(self, opened: Bracket, close: int, end: int, target: str) -> None:
        """Cut what an image says in words, and a link that shows nothing."""
        text = self._view[opened.inner : close]
        if opened.is_image and text:
            finds = () if text.strip().lower() in _COMMON_ALT else (Find(Hidden.ALT, text),)
            self._edits.put(opened.inner, close, "", *finds)
        elif not opened.is_image and not text.strip():
            self._edits.cut(opened.start, end, Find(Hidden.LINK, target))

    def _reference(self, mark: re.Match[str]) -> None:
        word = mark[0].rstrip(";")[1:]
        if word[0] == "#":
            number = int(word[1:]) if word[1] not in "xX" else int(f"0{word[1:]}", base=16)
            char = chr(number) if number < 0x110000 else ""
        else:
            char = _NAMED.get(word.lower(), "") if mark[0][-1] == ";" else ""
        if char and (kind := kind_of(char)):
            self._edits.cut(mark.start(), mark.end(), Find(kind, char))

    def _definitions(self) -> None:
        for piece in self._layout.pieces:
            source = self.text[piece.start : piece.end]
            if piece.kind is Kind.FOOTNOTE:
                if piece.name not in self._noted:
                    self._edits.cut(piece.start, piece.end, Find(Hidden.FOOTNOTE, source))
                self._noted.discard(piece.name)  # only the first of a name is shown
            elif piece.kind is Kind.DEFINITION and piece.name not in self._used:
                self._edits.cut(piece.start, piece.end, Find(Hidden.DEFINITION, source))
            elif piece.kind is Kind.DEFINITION:
                title = self._layout.titles.get(piece.name, "")
                self._edits.put(piece.start, piece.end, "", *([Find(Hidden.TITLE, title)] if title else []))


def _is_letter(char: str) -> bool:
    return char.isascii() and char.isalpha()
