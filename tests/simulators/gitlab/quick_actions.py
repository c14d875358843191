"""GitLab's rule for quick actions, ported: which lines it carries out and cuts from a text before saving it.

GitLab has had two rules. `LINES` (before 17) runs one expression over the whole text. `PARAGRAPHS` (since) first takes
the top-level Markdown paragraphs and runs nearly the same expression over each. A text is safe only where neither finds
anything: see `found`. Both let the names of every command count, wherever the text stands and whoever wrote it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from html.parser import HTMLParser
from typing import Final

import cmarkgfm  # type: ignore[import-untyped]
from cmarkgfm.cmark import Options  # type: ignore[import-untyped]

NAMES: Final = frozenset(
    # Words, not a list of a hundred lines: newer and older names, both editions.
    """
    add_child add_contacts add_email approve assign assign_reviewer award blocked_by blocks board_move cc
    checkin_reminder child_epic clear_health_status clear_weight clone close confidential convert_to_ticket
    copy_metadata create_merge_request done draft due duo_code_review duplicate epic estimate estimate_time
    health_status invite_email iteration label labels link lock merge milestone move page parent_epic promote
    promote_to promote_to_incident publish react ready reassign reassign_reviewer rebase relabel relate remove_child
    remove_child_epic remove_contacts remove_due_date remove_email remove_estimate remove_iteration remove_label
    remove_milestone remove_parent remove_parent_epic remove_reviewer remove_time_estimate remove_time_spent
    remove_zoom reopen request_review reviewer set_parent severity spend spend_time status submit_review subscribe
    tag target_branch timeline title todo type unapprove unassign unassign_reviewer unlabel unlink unlock unsubscribe
    weight wip zoom
    """.split()  # noqa: SIM905
)
SUBSTITUTIONS: Final = {"shrug": "¯\\\uff3f(ツ)\uff3f/¯", "tableflip": "(╯°□°)╯︵ ┻━┻"}
# Ruby ignores case by full folding, so one letter may stand for two: `/aßign` is `/assign`.
LIGATURES: Final = {"ss": "ß", "st": "ﬆ", "fi": "ﬁ", "fl": "ﬂ", "ff": "ﬀ"}
BLANK: Final = r"[ \t\r\n\f\v]"  # Ruby's \s, which knows no Unicode


class Rule(StrEnum):
    """Which of GitLab's two rules holds."""

    PARAGRAPHS = "paragraphs"
    LINES = "lines"


@dataclass(frozen=True)
class QuickAction:
    """One command as GitLab reads it."""

    name: str
    argument: str = ""


@dataclass(frozen=True)
class Extracted:
    """What is left of a text, and what is carried out."""

    text: str
    actions: tuple[QuickAction, ...]


def _union(names: frozenset[str]) -> str:
    """Match any of the names in any case, letters that fold to two included."""
    spelled = []
    for name in sorted(names, key=len, reverse=True):
        for pair, single in LIGATURES.items():
            name = name.replace(pair, f"(?:{pair}|{single})")  # noqa: PLW2901 - built up in place
        spelled.append(name)
    return "|".join(spelled)


def _expression(*excluded: str) -> re.Pattern[str]:
    tail = rf"(?: (?P<{{}}>[^\n]*))?(?:{BLANK}*\n|$)"
    command = rf"^/(?P<command>{_union(NAMES)})" + tail.format("argument")
    substitution = rf"^/(?P<substitution>{_union(frozenset(SUBSTITUTIONS))})" + tail.format("words")
    return re.compile("|".join([*excluded, command, substitution]), re.MULTILINE | re.IGNORECASE)


ANY: Final = r"[\s\S]"
HTML_BLOCK: Final = rf"^<[^>]+?>\n{ANY}+?\n</[^>]+?>$"
INLINE_CODE: Final = rf"`{ANY}+?`"
IN_PARAGRAPH: Final = _expression(INLINE_CODE, HTML_BLOCK)
IN_TEXT: Final = _expression(rf"^```{ANY}+?\n```$", INLINE_CODE, HTML_BLOCK, rf"^>>>{ANY}+?\n>>>$")


def found(text: str) -> tuple[QuickAction, ...]:
    """Name what any GitLab, old or new, would carry out; empty means that a text is safe to send."""
    seen = [action for rule in Rule for action in extract(text, rule).actions]
    return tuple(dict.fromkeys(seen))


def extract(text: str, rule: Rule = Rule.PARAGRAPHS) -> Extracted:
    """Cut the commands out, as GitLab does before it saves a note or a description."""
    text = text.replace("\r", "")  # GitLab deletes it first: `\r/close` begins a line
    actions: list[QuickAction] = []
    if rule is Rule.LINES:
        left = _cut(IN_TEXT, text, actions)
    else:
        lines = _lines(text)
        for start, end in _paragraphs(text):
            end += end + 1 < len(lines) and lines[end + 1] == "\n"  # noqa: PLW2901 - the blank line goes with it
            paragraph = _cut(IN_PARAGRAPH, "".join(lines[start : end + 1]), actions)
            lines[start : end + 1] = [paragraph, *[""] * (min(end, len(lines) - 1) - start)]
        left = "".join(lines)
    return Extracted(left.rstrip(" \t\r\n\f\v\0"), tuple(actions))


def _lines(text: str) -> list[str]:
    """Split after line feeds only, as Ruby does; other separators end no line."""
    parts = text.split("\n")
    return [part + "\n" for part in parts[:-1]] + [parts[-1]] * bool(parts[-1])


def _cut(expression: re.Pattern[str], text: str, actions: list[QuickAction]) -> str:
    def replace(match: re.Match[str]) -> str:
        if name := match["command"]:
            actions.append(QuickAction(name.casefold(), (match["argument"] or "").strip()))
            return ""
        if name := match["substitution"]:
            actions.append(QuickAction(name.casefold(), (match["words"] or "").strip()))
            return f"{match['words'] or ''} {SUBSTITUTIONS[name.casefold()]}".strip() + "\n" * match[0].endswith("\n")
        return match[0]

    return expression.sub(replace, text)


def _paragraphs(text: str) -> Iterator[tuple[int, int]]:
    """Find the top-level paragraphs that show a line beginning with a slash: first and last line, from 0."""
    finder = _Paragraphs()
    # Without the UNSAFE option no HTML of the text reaches the finder, so it cannot be led astray.
    extensions = ["table", "strikethrough", "autolink", "tasklist"]
    finder.feed(
        cmarkgfm.markdown_to_html_with_extensions(_quoted(text), Options.CMARK_OPT_SOURCEPOS, extensions=extensions)
    )
    finder.close()
    return iter(finder.spans)


class _Paragraphs(HTMLParser):
    VOID: Final = frozenset({"br", "hr", "img", "input"})

    def __init__(self) -> None:
        super().__init__()
        self.spans: list[tuple[int, int]] = []
        self._depth = 0
        self._open = ""
        self._shown: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in self.VOID:
            return
        if tag == "p" and not self._depth:
            self._open, self._shown = dict(attrs).get("data-sourcepos") or "", []
        self._depth += 1

    def handle_endtag(self, tag: str) -> None:
        self._depth -= tag not in self.VOID
        if self._depth == 0 and self._open:
            if re.search("^/", "".join(self._shown), re.MULTILINE):
                start, _, end = self._open.partition("-")
                self.spans.append((int(start.split(":")[0]) - 1, int(end.split(":")[0]) - 1))
            self._open = ""

    def handle_data(self, data: str) -> None:
        self._shown.append(data)


def _quoted(text: str) -> str:
    """Write `>>>` blocks, which only GitLab's Markdown knows, as ordinary quotes of as many lines."""
    lines, fence = text.split("\n"), ""
    index = 0
    while index < len(lines):
        opened = re.match(r" {0,3}(`{3,}|~{3,})", lines[index])
        if fence:
            if lines[index].strip().startswith(fence) and not lines[index].strip(f"{fence[0]} "):
                fence = ""
        elif opened:
            fence = opened[1]
        elif re.fullmatch(r">{3,}[ \t]*", lines[index]):
            mark = lines[index].strip()
            ends = [at for at in range(index + 1, len(lines)) if lines[at].strip() == mark]
            if ends:
                lines[index : ends[0] + 1] = [f"> {line.lstrip('>')}" for line in lines[index : ends[0] + 1]]
                index = ends[0]
        index += 1
    return "\n".join(lines)
