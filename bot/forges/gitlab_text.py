"""The one door for every text that goes to GitLab: no line of it may act as a quick action.

GitLab carries out a line that begins with `/name` in any note or description, with the rights of whoever sent it, and
for a bot those are the rights to merge. Names are added with every release; so no line may begin with a slash at all,
save the commands that people shall type, which begin with the bot's own name.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from bot.model.errors import UsageError

ZWSP: Final = "\u200b"
NOTE_CHARS: Final = 999_000  # GitLab takes 1,000,000; what the door adds has to fit
DESCRIPTION_CHARS: Final = 1_040_000  # of 1,048,576
TITLE_CHARS: Final = 255
STATUS_CHARS: Final = 255
DEEPEST: Final = 8  # folds within folds that are closed and opened again
CUT: Final = "\n\n*(shortened)*"
CONTINUED: Final = "\n\n*(goes on in the next note)*"
DRAFT: Final = "Draft: "

# GitLab's commands (18.3 and older) that a bot could be named after; those with an underscore cannot be bot names.
_COMMANDS: Final = (
    "approve assign award blocks cc clone close confidential done draft due duplicate epic estimate iteration label "
    "labels link lock merge milestone move page promote publish react ready reassign rebase relabel relate reopen "
    "reviewer severity shrug spend status subscribe tableflip tag timeline title todo type unapprove unassign unlabel "
    "unlink unlock unsubscribe weight wip zoom"
)
TAKEN: Final = frozenset(_COMMANDS.split())
FENCE: Final = re.compile(r" {0,3}(`{3,}|~{3,})([^\n]*)")
FOLD: Final = re.compile(r"<details\b[^>\n]*>(?:\s*<summary>[^\n]*?</summary>)?|</details>", re.IGNORECASE)


def check_name(bot_name: str) -> None:
    """Raise where GitLab owns the bot's name as a command."""
    if bot_name.lower() in TAKEN:
        raise UsageError(
            "GW-GITLAB-BOT-NAME",
            f"the bot cannot be called '{bot_name}' on GitLab",
            why=f"GitLab carries out /{bot_name} itself and deletes it before anybody hears of it",
            fix="choose another [trigger] bot_name",
        )


def harmless(text: str, bot_name: str) -> str:
    """Make a text safe to send: line ends normalised, and no line begins with a slash but our own commands."""
    text = text.replace("\r\n", "\n").replace("\r", "\n").replace("\0", "")  # GitLab deletes \r: `\r/close` acts
    ours = re.compile(rf"/{re.escape(bot_name)}(?:[ \t]|$)", re.IGNORECASE)
    lines = text.split("\n")
    first = next((number for number, line in enumerate(lines) if line.strip()), 0)
    for number, line in enumerate(lines):
        # Blanks around a whole text may be stripped on the way: at its very beginning they do not help.
        bare = line.lstrip() if number == first else line
        if bare.startswith("/") and not ours.match(bare):
            lines[number] = (ZWSP if number == first else " ") + line
    return "\n".join(lines)


def title(text: str, *, draft: bool = False) -> str:
    """Make a title of one line; `Draft:` in front is how GitLab knows a draft."""
    line = " ".join(text.replace("\0", "").split()).lstrip("/ ") or "Change"
    return _cut((DRAFT if draft else "") + line, TITLE_CHARS)


def status_text(text: str) -> str:
    """Make the description of a commit status."""
    return _cut(" ".join(text.replace("\0", "").split()), STATUS_CHARS)


def description(text: str, bot_name: str) -> str:
    """Make a description, shortened where it would not fit, with code and folds closed."""
    return _whole(text, bot_name, DESCRIPTION_CHARS)


def one_note(text: str, bot_name: str, limit: int = NOTE_CHARS) -> str:
    """Make a note that replaces another, shortened where it would not fit."""
    return _whole(text, bot_name, limit)


def notes(text: str, bot_name: str, limit: int = NOTE_CHARS) -> list[str]:
    """Make as many notes as a text needs; code and folds that are cut are closed and opened again."""
    return [harmless(part, bot_name) for part in _parts(harmless(text, bot_name), limit)]


def _whole(text: str, bot_name: str, limit: int) -> str:
    text = harmless(text, bot_name)
    if len(text) <= limit:
        return text
    return harmless(next(_parts(text, limit - len(CUT), "")) + CUT, bot_name)


class _Open:
    """What is open at a place of a text: folds, and at most one fence within them."""

    def __init__(self) -> None:
        self.folds: list[str] = []  # the outer ones; deeper than that nobody reads
        self._depth = 0
        self.fence = ""
        self.ticks = ""

    def read(self, line: str) -> None:
        found = FENCE.match(line)
        if self.ticks:
            if found and found[1].startswith(self.ticks) and not found[2].strip():
                self.fence = self.ticks = ""
        elif found and not (found[1][0] == "`" and "`" in found[2]):
            self.fence, self.ticks = line[:200], found[1]
        else:
            for fold in FOLD.finditer(line):
                if not fold[0].startswith("</"):
                    self._depth += 1
                    self.folds += [fold[0]] if self._depth <= DEEPEST else []
                elif self._depth:
                    self._depth -= 1
                    del self.folds[self._depth :]

    @property
    def end(self) -> str:
        fence = f"\n{self.ticks}" if self.ticks else ""
        return fence + "".join("\n\n</details>" for _ in self.folds)

    @property
    def start(self) -> str:
        folds = "".join(f"{fold}\n\n" for fold in self.folds)
        return folds + (f"{self.fence}\n" if self.fence else "")


def _parts(text: str, limit: int, going_on: str = CONTINUED) -> Iterator[str]:
    if len(text) <= limit:
        yield text
        return
    is_open, part = _Open(), ""
    for line in _lines(text, limit // 3):
        before = is_open.end
        if part and len(part) + len(line) + len(before) + len(going_on) + 400 > limit:
            yield part.rstrip("\n") + before + going_on
            part = is_open.start
        is_open.read(line)
        part += line + "\n"
    yield part.rstrip("\n")


def _lines(text: str, longest: int) -> Iterator[str]:
    for line in text.split("\n"):
        yield from (line[at : at + longest] for at in range(0, max(len(line), 1), longest))


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "\u2026"
