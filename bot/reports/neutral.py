"""Disarm text by models and people before it enters a comment.

What must not get through: mentions, HTML, comments (our marker!), images, links and bare addresses, references and
closing keywords, quick actions at a line start, characters that cannot be seen, Markdown that opens a
block or leaves code open.
"""

from __future__ import annotations

import re
from typing import Final

from bot.model.hygiene_characters import UNSEEN
from bot.model.inline import code_spans

ZWSP: Final = "\u200b"  # splits `@name`, `#12` and `https://` for the forge, not for the eye

_ANSI: Final = re.compile(r"\x1b(?:\[[0-9;?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])")
_ESCAPED: Final = re.compile(r"\\([!-/:-@\[-`{-~])")
_SPECIAL: Final = re.compile(r"\\[*_~`\\]|[\\\[\]<>&`|@]|[#!%~$](?=\w)|GH-(?=\d)", re.IGNORECASE)
_BLOCK_OF_CODE: Final = re.compile(r"^[ \t]*(`{3,}|~{3,})[^`\n]*\n(.*?)\n[ \t]*\1[ \t]*$", re.DOTALL | re.MULTILINE)
_ADDRESS: Final = re.compile(r"(?<=:)(?=//)|(?<=www)(?=\.)|(?<=mailto:)|(?<=xmpp:)", re.IGNORECASE)
_KEYWORD: Final = re.compile(
    r"\b(clos|fix|resolv|implement)(?=(?:e|es|ed|ing|s)?\b:?\s*(?:https?:|[\w.-]+/[\w./-]+[#!]|#|GH-))", re.IGNORECASE
)
_BLOCK: Final = re.compile(r"[/#+\-=:~%!$](?!\u200b)|[*_](?=[ \t]|$)|[*_](?=[*_ \t]+$)")
_NUMBERED: Final = re.compile(r"(\d{1,9})([.)])(?=\s|$)")
_QUOTED: Final = frozenset("\\[]`|")
_ENTITY: Final = {"<": "&lt;", ">": "&gt;", "&": "&amp;"}


class Markdown(str):
    """Text that may enter a template as it stands."""

    __slots__ = ()


def visible(text: str) -> str:
    """Drop terminal escapes, controls and characters that cannot be seen; keep tabs and line feeds."""
    return UNSEEN.sub("", _ANSI.sub("", text.replace("\r\n", "\n").replace("\r", "\n")))


def cut(text: str, limit: int) -> str:
    """Shorten text to a number of characters, and show that it was."""
    return text if len(text) <= limit else text[: max(limit - 2, 0)].rstrip() + " …"


def one_line(text: str, limit: int) -> str:
    """Make one line of text, blanks collapsed, shortened before anything is escaped."""
    # What is read of a huge text is bounded first: the patterns below are not all linear.
    return cut(" ".join(visible(text[: 8 * limit + 2_000]).split()), limit)


def inline(text: str, limit: int = 600) -> Markdown:
    """Make one harmless line; emphasis and code spans keep working."""
    text = one_line(_BLOCK_OF_CODE.sub(r"`` \2 ``", text[: 8 * limit + 2_000]), limit)
    out, position = [], 0
    for start, end in code_spans(text):
        out += [_words(text[position:start]), _unlink(text[start:end])]
        position = end
    return Markdown(_unblock("".join([*out, _words(text[position:])])))


def cell(text: str, limit: int = 200) -> Markdown:
    """Make one harmless table cell: within code, too, a bar would end it."""
    return Markdown(re.sub(r"(?<!\\)\|", r"\\|", inline(text, limit)))


def plain(text: str, limit: int = 200) -> Markdown:
    """Make one harmless line in which nothing is Markdown: for titles and names."""
    line = re.sub(r"[\\`*_~]", r"\\\g<0>", one_line(text, limit))
    return Markdown(_unblock(_words(line)))


def bare(text: str, limit: int = 200) -> str:
    """Make one line for places that are no Markdown, such as titles of pull requests."""
    line = _KEYWORD.sub(rf"\1{ZWSP}", one_line(text, limit))
    return re.sub(r"@|[#!](?=\d)|GH-(?=\d)", rf"\g<0>{ZWSP}", line, flags=re.IGNORECASE)


def code(text: str, limit: int = 200) -> Markdown:
    """Make a code span that holds text, whatever back-ticks it has."""
    line = _unlink(one_line(text, limit)) or " "
    ticks = "`" * (_longest_run(line) + 1)
    pad = " " if line.startswith("`") or line.endswith("`") else ""
    return Markdown(f"{ticks}{pad}{line}{pad}{ticks}")


def fence(text: str, info: str = "", limit: int = 8_000, keep: str = "head") -> Markdown:
    """Make a fenced block, cut to whole lines at head or tail; what was left out is said below it."""
    lines = visible(text).replace("<!--", f"<{ZWSP}!--").strip("\n").split("\n")
    kept = _fitting(lines if keep == "head" else lines[::-1], limit)
    shown = kept if keep == "head" else kept[::-1]
    ticks = "`" * max(3, _longest_run("\n".join(shown)) + 1)
    block = "\n".join([ticks + info, *shown, ticks])
    if len(shown) < len(lines) or sum(map(len, shown)) < sum(map(len, lines)):
        which = "first" if keep == "head" else "last"
        block += f"\n\nShortened: these are the {which} {len(shown)} of {len(lines)} lines."
    return Markdown(block)


def _unlink(text: str) -> str:
    """Spoil, within code, what is searched for in the source of a comment: markers and closing keywords."""
    return _KEYWORD.sub(rf"\1{ZWSP}", text.replace("<!--", f"<{ZWSP}!--"))


def _words(text: str) -> str:
    text = _ESCAPED.sub(lambda m: m[0] if m[1] in "*_~`\\" else m[1], text)
    text = _SPECIAL.sub(_disarm, _KEYWORD.sub(rf"\1{ZWSP}", text))
    return _ADDRESS.sub(ZWSP, text)  # forges make links of bare addresses


def _disarm(found: re.Match[str]) -> str:
    mark = found[0]
    if len(mark) == 2 and mark[0] == "\\":
        return mark
    if mark in _ENTITY:
        return _ENTITY[mark]
    return "\\" + mark if mark in _QUOTED else mark + ZWSP


def _unblock(line: str) -> str:
    if _BLOCK.match(line):
        return "\\" + line
    return _NUMBERED.sub(r"\1\\\2", line, count=1) if _NUMBERED.match(line) else line


def _longest_run(text: str) -> int:
    return max((len(run) for run in re.findall("`+", text)), default=0)


def _fitting(lines: list[str], limit: int) -> list[str]:
    kept: list[str] = []
    for line in lines:
        limit -= len(line) + 1
        if limit < 0 and kept:
            break
        kept.append(cut(line, max(limit + len(line) + 1, 80)))
    return kept
