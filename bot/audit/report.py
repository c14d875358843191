"""Show verdicts: to people in at most 80 columns, to programs as one JSON document."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from bot.audit.sheet import Finding, Severity, Verdict

SCHEMA: Final = "gatewright/audit-verify/v1"
WIDTH: Final = 80
INDENT: Final = 18
HELP: Final = "docs/audit.md#not-valid"
_HEX: Final = re.compile(r"\b[0-9a-f]{40,64}\b")
FAR_FUTURE_MS: Final = 253_402_300_799_000  # the last second that a calendar of four-digit years knows


def exit_code(verdicts: Sequence[Verdict]) -> int:
    """Take the worst: 1 tampered, then 4 unreadable, then 2 incomplete."""
    codes = {verdict.exit_code for verdict in verdicts}
    return next((code for code in (1, 4, 2) if code in codes), 0)


def as_json(verdicts: Sequence[Verdict]) -> str:
    """Spell verdicts for programs."""
    tasks: list[dict[str, Any]] = [msgspec.to_builtins(verdict) | {"exit": verdict.exit_code} for verdict in verdicts]
    body = {"schema": SCHEMA, "exit": exit_code(verdicts), "tasks": tasks}
    return msgspec.json.format(msgspec.json.encode(body), indent=2).decode()


def as_text(verdicts: Sequence[Verdict]) -> str:
    """Spell verdicts for people."""
    return "\n".join(line.rstrip() for verdict in verdicts for line in (*_verdict(verdict), "")).rstrip("\n")


def when(ms: int) -> str:
    """Spell a time in UTC, to the second."""
    if not 0 <= ms <= FAR_FUTURE_MS:
        return f"{ms} ms"
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


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
    yield from _conclusion(verdict)


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


def _conclusion(verdict: Verdict) -> Iterator[str]:
    code = verdict.exit_code
    points = len(verdict.not_proven)
    reached = f"Reached {verdict.level}"
    if verdict.attention:
        noun = "1 record needs" if len(verdict.attention) == 1 else f"{len(verdict.attention)} records need"
        yield from _wrap("", f"{noun} your ATTENTION, see above and docs/audit.md#attention.")
    if code == 0:
        yield from _wrap(
            "", f"{reached} (chain, schema and meaning) with no finding; {points} points above are not proven. exit 0"
        )
        return
    said = {
        1: "Not valid: the evidence is not as it was written, or shows what must not be.",
        2: f"Incomplete: nothing contradicts, but something is missing. {reached}.",
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
