"""plan.md: a title, a summary, numbered steps with files, criteria and how each is verified, and risks."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Final

import msgspec

from bot.model.document import (
    MAX_ENTRIES,
    DocumentError,
    Line,
    Outline,
    Section,
    items,
    outline,
    prose,
    write_section,
    written,
)
from bot.model.evidence import Plan, PlanStep, Spec
from bot.model.paths import unsafe

STEPS: Final = "Steps"
RISKS: Final = "Risks"
FIELDS: Final = ("Files", "Criteria", "Verify")
_PREFIX: Final = "Plan: "
_STEP: Final = re.compile(r"(?:Step )?([1-9][0-9]{0,3})[.:)][ \t]+(\S.*)")
_FIELD: Final = re.compile(r"(?:[-*] )?(\*\*)?(files|criteria|verify)(?(1)(?:\*\*:|:\*\*)|:)[ \t]*(.*)", re.IGNORECASE)
_FILE: Final = re.compile(r"(`?)([^`]+?)\1(?: \((?:new|changed|deleted|removed|renamed)\))?", re.IGNORECASE)
_ID: Final = re.compile(r"AC-[1-9][0-9]{0,3}")

Fields = dict[str, tuple[int, str]]  # name -> (line, value)


def parse_plan(text: str, spec: Spec) -> Plan:
    """Read a plan and hold it against its spec; raise DocumentError with the line and what is expected."""
    plan, lines = _read(text)
    known = {criterion.id for criterion in spec.criteria}
    for step, line in zip(plan.steps, lines, strict=True):
        if strange := [wanted for wanted in step.criteria if wanted not in known]:
            raise DocumentError(line, f"the spec has no {strange[0]}", f"ids from AC-1 to AC-{len(known)}")
    served = {wanted for step in plan.steps for wanted in step.criteria}
    if missing := [criterion.id for criterion in spec.criteria if criterion.id not in served]:
        raise DocumentError(lines[-1], f"no step serves {', '.join(missing)}", "every criterion named by some step")
    return plan


def render_plan(plan: Plan) -> str:
    """Write a plan in its one normal form; raise DocumentError for a value that the format cannot hold."""
    blocks = [f"# {_PREFIX}{plan.title}", plan.summary, f"## {STEPS}"]
    for step in plan.steps:
        blocks += [f"### {step.number}. {step.title}", _fields_of(step)] + ([step.detail] if step.detail else [])
    return written(plan, blocks + write_section(RISKS, plan.risks), lambda text: _read(text)[0])


def plan_json(plan: Plan) -> bytes:
    """Encode a plan as canonical JSON (RFC 8785) and a final newline: plan.json."""
    return msgspec.json.encode({"v": 1, **msgspec.to_builtins(plan)}, order="sorted") + b"\n"


def _fields_of(step: PlanStep) -> str:
    files = ", ".join(f"`{path}`" for path in step.files)
    return f"- Files: {files}\n- Criteria: {', '.join(step.criteria)}\n- Verify: {step.verify}"


def _read(text: str) -> tuple[Plan, list[int]]:
    cut = outline(text, (STEPS, RISKS))
    parts = _cut_steps(cut, cut.sections.get(STEPS))
    plan = Plan(
        title=cut.title.removeprefix(_PREFIX),
        summary=cut.summary,
        steps=tuple(_step(number, head, body) for number, (head, body) in enumerate(parts, start=1)),
        risks=tuple(item.text for item in items(cut.sections.get(RISKS))),
    )
    return plan, [head.number for head, _ in parts]


def _cut_steps(cut: Outline, section: Section | None) -> list[tuple[Line, tuple[Line, ...]]]:
    if section is None:
        raise DocumentError(cut.end, "there are no steps", f"a section `## {STEPS}`")
    body = section.body
    starts = [index for index, line in enumerate(body) if (head := line.heading) and head[0] == 3]
    if not 1 <= len(starts) <= MAX_ENTRIES:
        raise DocumentError(section.line, f"{len(starts)} steps", f"1 to {MAX_ENTRIES} headings `### 1. what to do`")
    if stray := next((line for line in body[: starts[0]] if line.text), None):
        raise DocumentError(stray.number, "text before the first step", "`### 1. what to do`")
    return [(body[a], body[a + 1 : b]) for a, b in pairwise([*starts, len(body)])]


def _step(number: int, head: Line, body: Sequence[Line]) -> PlanStep:
    found = _STEP.fullmatch((head.heading or (3, ""))[1])
    if found is None or int(found[1]) != number:
        raise DocumentError(head.number, "this is not the next step", f"`### {number}. what to do`")
    fields, detail = _fields(head, body)
    return PlanStep(
        number=number,
        title=found[2],
        detail=prose(detail),
        files=tuple(_files(*fields["files"])),
        criteria=tuple(_ids(*fields["criteria"])),
        verify=fields["verify"][1],
    )


def _fields(head: Line, body: Sequence[Line]) -> tuple[Fields, Sequence[Line]]:
    fields: Fields = {}
    last, index = "", 0
    for index, line in enumerate(body):  # noqa: B007 - where the fields end, the detail begins
        found = None if line.fenced else _FIELD.fullmatch(line.text)
        if found:
            last = found[2].lower()
            if last in fields:
                raise DocumentError(line.number, f"`{found[2]}:` stands here twice", "each field once")
            fields[last] = (line.number, found[3])
        elif last and line.text.startswith("  ") and not line.fenced:
            fields[last] = (fields[last][0], f"{fields[last][1]} {line.text.strip()}")
        elif line.text or len(fields) == len(FIELDS):
            break
    else:
        index = len(body)
    for name in FIELDS:
        if not fields.get(name.lower(), (0, ""))[1]:
            raise DocumentError(head.number, f"the step does not say `{name}:`", f"a line `- {name}: ...` below it")
    detail = body[index:]
    if again := next((line for line in detail if not line.fenced and _FIELD.fullmatch(line.text)), None):
        raise DocumentError(again.number, "a field among the details", "each field once, before the details")
    return fields, detail


def _files(line: int, value: str) -> Iterator[str]:
    seen: set[str] = set()
    for part in value.split(","):
        found = _FILE.fullmatch(part.strip())
        path = found[2] if found else part.strip()
        fault = unsafe(path) or ("is named twice" if path in seen else None)
        if found is None or fault:
            raise DocumentError(line, f"file {path!r} {fault or 'cannot be read'}", "paths below the repository's root")
        seen.add(path)
        yield path


def _ids(line: int, value: str) -> Iterator[str]:
    seen: set[str] = set()
    for part in value.split(","):
        wanted = part.strip()
        if not _ID.fullmatch(wanted) or wanted in seen:
            raise DocumentError(line, f"{wanted!r} is no criterion's id, or stands here twice", "`AC-1, AC-2`")
        seen.add(wanted)
        yield wanted
