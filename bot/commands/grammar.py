"""Find the commands of a comment; pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final

import msgspec

from bot.commands.catalogue import entry, suggestion
from bot.commands.layout import Kind, Layout, hidden_spans, read
from bot.model.command import Command, Verb
from bot.model.manners import Manners
from bot.model.verbs import Takes

_HEAD: Final = re.compile(r"(?P<sigil>[/@])(?P<name>[A-Za-z0-9-]+)(?:[ \t]+(?P<rest>.*))?")


class Unknown(msgspec.Struct, frozen=True):
    """The bot was addressed by name with a word it does not know; `suggestion` is a verb or empty."""

    word: str
    suggestion: str
    line: int


Said = Command | Unknown


def parse(body: str, *, bot_name: str, manners: Manners) -> tuple[Said, ...]:
    """List what a comment asks for; `/verb` alone counts where the forge lets it through.

    A command starts its line, in a paragraph of the comment itself: code, quotations, lists, HTML and indented lines
    never act. Text that a verb takes goes on to the next command; quotations at its end (a mail's) are left out.
    """
    layout, bare = read(body, manners.quote_fence), manners.takes_bare
    found = [
        (number, *heading)
        for number, line in enumerate(layout.lines)
        if layout.kinds[number] is Kind.WORDS and (heading := _addressed(line.rstrip(" \t"), bot_name, bare=bare))
    ]
    ends = [number for number, _, _ in found[1:]] + [len(layout.lines)]
    return tuple(
        _command(layout, number, end, word, rest) for (number, word, rest), end in zip(found, ends, strict=False)
    )


def _addressed(line: str, bot_name: str, *, bare: bool) -> tuple[str, str] | None:
    found = _HEAD.fullmatch(line)
    if found is None:
        return None
    name, rest = found["name"].lower(), found["rest"] or ""
    if name != bot_name.lower():
        return (name, rest) if bare and found["sigil"] == "/" and name in _VERBS else None
    word, _, argument = rest.replace("\t", " ").partition(" ")
    if found["sigil"] == "/":
        return (word or Verb.HELP, argument)
    # `@gatewright thanks!` is conversation; only what is, or nearly is, a verb addresses us.
    return (word, argument) if suggestion(word) else None


def _command(layout: Layout, number: int, end: int, word: str, rest: str) -> Said:
    if word.lower() not in _VERBS:
        return Unknown(word, suggestion(word), number + 1)
    verb = Verb(word.lower())
    takes = entry(verb).takes
    block = next((text for start, text in layout.blocks if number < start < end), "") if takes is Takes.BLOCK else ""
    argument = _text(layout, number, end, rest) if takes is Takes.TEXT else rest.strip().strip("`")
    return Command(verb, argument, block, number + 1)


def _text(layout: Layout, number: int, end: int, rest: str) -> str:
    lines = [(Kind.WORDS, rest)] + [
        (layout.kinds[index], layout.lines[index])
        for index in range(number + 1, end)
        if layout.kinds[index] is not Kind.HIDDEN
    ]
    while lines and (lines[-1][0] is Kind.QUOTE or not lines[-1][1].strip()):
        lines.pop()
    return "\n".join(_shown(lines)).strip()


def _shown(lines: Sequence[tuple[Kind, str]]) -> Iterator[str]:
    words: list[str] = []
    for kind, line in lines:
        if kind is Kind.CODE:
            yield from _without_comments(words)
            words = []
            yield line
        else:
            words.append(line)
    yield from _without_comments(words)


def _without_comments(lines: Sequence[str]) -> Iterator[str]:
    if not lines:
        return
    text, kept, position = "\n".join(lines), "", 0
    for start, stop, is_comment in hidden_spans(text):
        if is_comment:
            kept += text[position:start]
            position = stop
    yield kept + text[position:]


_VERBS: Final = frozenset(str(verb) for verb in Verb)
