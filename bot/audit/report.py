"""Show verdicts: to people in at most 80 columns, to programs as one JSON document."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Final, Literal

import msgspec

from bot.audit.sheet import Count, Finding, Severity, Verdict

SCHEMA: Final = "gatewright/audit-verify/v1"
WIDTH: Final = 80
MEANING: Final = {
    "nothing": "nothing could be read",
    "L0": "parsed",
    "L1": "chain, schema and meaning",
    "L2": "signed",
    "L3": "signed and anchored",
    "L4": "signed, anchored and logged",
    "L5": "signed, anchored, logged and seen by others",
}
INDENT: Final = 18
HELP: Final = "docs/audit.md#not-valid"
_HEX: Final = re.compile(r"\b[0-9a-f]{40,64}\b")
FAR_FUTURE_MS: Final = 253_402_300_799_000  # the last second that a calendar of four-digit years knows


class Judged(Verdict, frozen=True, kw_only=True):
    """The answer about one task, and what it means for the exit code."""

    exit: int


class Document(msgspec.Struct, frozen=True, omit_defaults=True):
    """What `--json` prints; `population` with `--all` only."""

    schema: Literal["gatewright/audit-verify/v1"]
    exit: int
    tasks: tuple[Judged, ...]
    population: Count | None = None


def exit_code(verdicts: Sequence[Verdict], count: Count | None = None) -> int:
    """Take the worst: 1 tampered, then 4 unreadable, then 2 incomplete."""
    codes = {verdict.exit_code for verdict in verdicts}
    codes |= {1 if gap.severity is Severity.TAMPERED else 2 for gap in (count.gaps if count else ())}
    return next((code for code in (1, 4, 2) if code in codes), 0)


def as_json(verdicts: Sequence[Verdict], count: Count | None = None) -> str:
    """Spell verdicts for programs."""
    judged = tuple(Judged(**msgspec.structs.asdict(one), exit=one.exit_code) for one in verdicts)
    body = Document(SCHEMA, exit_code(verdicts, count), judged, count)
    return msgspec.json.format(msgspec.json.encode(body), indent=2).decode()


def schema_text() -> str:
    """Write the JSON Schema of what `audit verify --json` prints."""
    made = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": SCHEMA} | msgspec.json.schema(Document)
    return msgspec.json.format(msgspec.json.encode(made), indent=2).decode() + "\n"


def as_text(verdicts: Sequence[Verdict], count: Count | None = None) -> str:
    """Spell verdicts for people."""
    lines = [line.rstrip() for verdict in verdicts for line in (*_verdict(verdict), "")]
    return "\n".join([*lines, *(_count(count, exit_code(verdicts, count)) if count else ())]).rstrip("\n")


def _count(count: Count, code: int) -> Iterator[str]:
    """Say what looking at the whole branch came to."""
    since = f" since {count.since}" if count.since else ""
    yield from _wrap("POPULATION ", f"{count.commits} commits of {count.tip[:12]}{since}, {count.changes} of tasks")
    for gap in count.gaps:
        yield from _wrap("  FAIL  " if gap.severity is Severity.TAMPERED else "  gap   ", gap.what)
    if not count.gaps:
        yield "  ok    each belongs to one sealed task"
    yield f"exit {code}"


def when(ms: int) -> str:
    """Spell a time in UTC, to the second."""
    if not 0 <= ms <= FAR_FUTURE_MS:
        return f"{ms} ms"
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def tasks(count: int) -> str:
    """Count tasks in words."""
    return "1 task" if count == 1 else f"{count} tasks"


def plain(text: str) -> str:
    """Show foreign text so that it cannot steer a terminal."""
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text)


def _verdict(verdict: Verdict) -> Iterator[str]:
    yield from _wrap(f"Task {verdict.task}   ", verdict.title)
    yield from _wrap("     ", f"{verdict.source}; {_records(verdict)}; {verdict.state}")
    yield ""
    for one in verdict.attention:
        yield from _wrap("  !!    ATTENTION ", f"record {one.record} ({one.kind}, {when(one.at_ms)}): {one.what}")
    for held in verdict.held:
        yield from _wrap(f"  ok    {held.check:<9} ", held.text)
    for finding in verdict.findings:
        yield from _finding(finding)
    yield ""
    yield "NOT PROVEN"
    for text in verdict.not_proven:
        yield from _wrap("  - ", text)
    yield ""
    yield from conclusion(verdict)


def _records(verdict: Verdict) -> str:
    if not verdict.records:
        return "no record could be read"
    noun = "record" if verdict.records == 1 else "records"
    return f"{verdict.records} {noun}, {when(verdict.first_ms)} to {when(verdict.last_ms)}"


def _finding(finding: Finding) -> Iterator[str]:
    mark = "FAIL" if finding.severity is not Severity.INCOMPLETE else "gap"
    what = finding.what
    if finding.record is not None:
        what = f"record {finding.record} ({finding.kind}, {when(finding.at_ms)}): {what}"
    yield from _wrap(f"  {mark:<5} {finding.check:<9} ", what)
    place = f"{finding.file} line {finding.line}" if finding.line else finding.file
    for name, value in (("expected", finding.expected), ("found", finding.found), ("file", place)):
        if value:
            yield from _wrap(f"        {name:<9} ", _HEX.sub(_short, value))


def _short(digest: re.Match[str]) -> str:
    """Show both ends of a digest; --json has the whole."""
    return f"{digest[0][:12]}…{digest[0][-4:]}"


def conclusion(verdict: Verdict, where: str = "above") -> Iterator[str]:
    """Say what the verdict means, and what to do; `where` is where the rest stands."""
    code = verdict.exit_code
    points = len(verdict.not_proven)
    reached = f"Reached {verdict.level}"
    if verdict.attention:
        noun = "1 record needs" if len(verdict.attention) == 1 else f"{len(verdict.attention)} records need"
        yield from _wrap("", f"{noun} your ATTENTION, see {where} and docs/audit.md#attention.")
    if code == 0:
        yield from _wrap(
            "", f"{reached} ({MEANING[verdict.level]}) with no finding; {points} points {where} are not proven. exit 0"
        )
        return
    short = f", and {verdict.asked} is asked" if verdict.level < verdict.asked else ""
    said = {
        1: "Not valid: the evidence is not as it was written, or shows what must not be.",
        2: f"Incomplete: nothing contradicts, but something is missing. {reached}{short}.",
        4: "Unreadable: this is not evidence that can be judged.",
    }
    yield from _wrap("", f"{said[code]} exit {code}")
    yield f"What to do: {HELP}"


def _wrap(head: str, text: str) -> Iterable[str]:
    """Break after 80 columns; what follows is set below the text."""
    width = min(len(head), INDENT)
    return textwrap.wrap(
        plain(head + text), WIDTH, subsequent_indent=" " * width, drop_whitespace=True, break_on_hyphens=False
    ) or [""]
