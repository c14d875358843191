"""spec.md: a title, a summary, numbered acceptance criteria, what is left out, what is open."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from bot.model.document import MAX_ENTRIES, DocumentError, Item, items, outline, write_list, write_section, written
from bot.model.evidence import Criterion, Spec

CRITERIA: Final = "Acceptance criteria"
NOT_INCLUDED: Final = "Not included"
QUESTIONS: Final = "Open questions"
_SHAPE: Final = "- **AC-1**: what must hold"
_CRITERION: Final = re.compile(r"(\*\*)?AC-([1-9][0-9]{0,3})(?(1)(?:\*\*:|:\*\*)|:)[ \t]+(\S.*)", re.DOTALL)


def parse_spec(text: str) -> Spec:
    """Read a spec; raise DocumentError with the line and what is expected."""
    cut = outline(text, (CRITERIA, NOT_INCLUDED, QUESTIONS))
    section = cut.sections.get(CRITERIA)
    if section is None:
        raise DocumentError(cut.end, "there are no acceptance criteria", f"a section `## {CRITERIA}`")
    entries = items(section, _SHAPE)
    if not 1 <= len(entries) <= MAX_ENTRIES:
        raise DocumentError(section.line, f"{len(entries)} criteria", f"1 to {MAX_ENTRIES} items `{_SHAPE}`")
    return Spec(
        title=cut.title,
        summary=cut.summary,
        criteria=tuple(_criteria(entries)),
        out_of_scope=tuple(item.text for item in items(cut.sections.get(NOT_INCLUDED))),
        questions=tuple(item.text for item in items(cut.sections.get(QUESTIONS))),
    )


def render_spec(spec: Spec) -> str:
    """Write a spec in its one normal form; raise DocumentError for a value that the format cannot hold."""
    blocks = [
        f"# {spec.title}",
        spec.summary,
        f"## {CRITERIA}",
        write_list(f"**{criterion.id}**: {criterion.text}" for criterion in spec.criteria),
        *write_section(NOT_INCLUDED, spec.out_of_scope),
        *write_section(QUESTIONS, spec.questions),
    ]
    return written(spec, blocks, parse_spec)


def _criteria(entries: list[Item]) -> Iterator[Criterion]:
    for number, item in enumerate(entries, start=1):
        found = _CRITERION.fullmatch(item.text)
        if found is None:
            raise DocumentError(item.line, "this is no criterion", f"`- **AC-{number}**: what must hold`")
        if int(found[2]) != number:
            fault = "stands here twice" if int(found[2]) < number else "leaves a gap"
            raise DocumentError(item.line, f"AC-{found[2]} {fault}", f"`AC-{number}`: ids count up from AC-1")
        yield Criterion(f"AC-{number}", found[3])
