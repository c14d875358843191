"""`gatewright audit export`, `changes` and `explain`: write what auditors ask for, answer as `audit verify` does."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, Literal

import msgspec

from bot.audit import export as bundles
from bot.audit import lines, report
from bot.audit.changes import as_csv, as_json, row
from bot.audit.command import refused, save
from bot.audit.facts import Facts
from bot.audit.gathering import Period, Told, Where, gathered, period, told
from bot.audit.lines import Lines, Range
from bot.audit.objects import ObjectAltered, ObjectMissing
from bot.audit.place import NoEvidence
from bot.audit.report import MEANING, exit_code, plain
from bot.model.errors import GatewrightError, UsageError

NOBODY: Final = "no task: as far as this repository tells, not a change of the bot"


class Explained(msgspec.Struct, frozen=True):
    """What `audit explain --json` says of one task."""

    task: str
    level: str
    state: str
    findings: int
    exit: int
    facts: Facts | None


class Answer(msgspec.Struct, frozen=True):
    """What `audit explain --json` prints."""

    schema: Literal["gatewright/audit-lines/v1"]
    exit: int
    path: str
    tip: str
    ranges: tuple[Range, ...]
    tasks: tuple[Explained, ...]


def export(where: Where, out: Path, *, since: str = "", until: str = "") -> int:
    """Write a bundle of one task or of a period, and say on stderr what could not be put in."""
    try:
        if not (where.task or since):
            raise UsageError(
                "GW-AUDIT-EXPORT", "nothing says what to export", fix="give --task ID or --since 2026-01-31"
            )
        tasks = _of(where, period(since, until))
        if not tasks:
            raise NoEvidence("GW-AUDIT-NONE", "no task ended in that time", fix="ask for other days: audit changes")
        held, left = bundles.contents(tasks, log=where.log, blobs=where.blobs, trust=where.trust)
        bundles.write(held, out)
    except GatewrightError as error:
        return refused(error)
    for name in left:
        _say(f"not in the bundle: {name}")
    _say(f"{out}: {report.tasks(len(tasks))}, {len(held)} files; sha256 of {bundles.SUMS}: {bundles.digest(held)}")
    return exit_code([one.verdict for one in tasks])


def changes(
    where: Where, *, since: str = "", until: str = "", form: str = "csv", out: Path | None = None, titles: bool = False
) -> int:
    """Print the population of changes, or write it to a file."""
    try:
        if form not in ("csv", "json"):
            raise UsageError("GW-AUDIT-FORMAT", f"not a format: {form[:20]!a}", fix="take csv or json")
        tasks = _of(where, period(since, until))
        rows = [row(one, with_title=titles) for one in tasks]
        text = as_csv(rows) if form == "csv" else as_json(rows) + "\n"
        if out is not None:
            save(out, text.encode())
    except GatewrightError as error:
        return refused(error)
    if out is None:
        sys.stdout.buffer.write(text.encode())  # its own line ends, whatever the platform's are
        sys.stdout.buffer.flush()
    return exit_code([one.verdict for one in tasks])


def explain(what: str, where: Where, *, json: bool = False) -> int:
    """Say for a line, or each line of a file, which commit and task it comes from and what that rests on."""
    path, _, number = what.rpartition(":")
    line = int(number) if path and number.isascii() and number.isdigit() else 0
    path = path if line else what
    try:
        with gathered(msgspec.structs.replace(where, rev=None), where.rev or "") as (found, by):
            objects = next((one.objects for one in found if one.objects is not None), None)
            if objects is None:
                raise UsageError("GW-AUDIT-LINE", f"{where.path} is no git repository", fix="name a clone with --repo")
            tip = objects.resolve(where.rev or "HEAD") or ""
            tasks = [told(one, by) for one in found]
            try:
                ranges = Lines(objects, tip, tasks).ranges(path, line) if tip else []
            except (ObjectAltered, ObjectMissing) as error:
                raise NoEvidence(error.code, error.what, why=error.why, fix=error.fix) from error
    except GatewrightError as error:
        return refused(error)
    if not ranges:
        why = f"the commit {tip[:12]} holds no such file, or not so many lines"
        return refused(NoEvidence("GW-AUDIT-LINE", f"there is no {what[:200]!a}", why=why, fix="name it from the top"))
    named = {one.task for one in ranges}
    meant = [one for one in tasks if one.verdict.task in named]
    code = exit_code([one.verdict for one in meant])
    code = code or (2 if named - {""} - {one.verdict.task for one in meant} else 0)
    if json:
        said = Answer(lines.SCHEMA, code, path, tip, tuple(ranges), tuple(map(_explained, meant)))
        sys.stdout.write(msgspec.json.format(msgspec.json.encode(said), indent=2).decode() + "\n")
    else:
        sys.stdout.writelines(f"{plain(text)}\n" for text in _explanation(path, ranges, meant))
    return code


def _of(where: Where, when: Period) -> list[Told]:
    """Read and judge every task of a period, by the time of its end."""
    with gathered(where) as (found, by):
        judged = [told(one, by) for one in found]
    return sorted((one for one in judged if when.holds(one)), key=lambda one: one.verdict.task)


def _explained(one: Told) -> Explained:
    verdict = one.verdict
    return Explained(verdict.task, verdict.level, verdict.state, len(verdict.findings), verdict.exit_code, one.facts)


def _explanation(path: str, ranges: Sequence[Range], tasks: Sequence[Told]) -> Iterator[str]:
    known = {one.verdict.task for one in tasks}
    for one in ranges:
        span = str(one.first) if one.first == one.last else f"{one.first}-{one.last}"
        yield f"{path}:{span} comes from commit {one.commit[:12]}, {_named(one, known)}"
    for told_ in tasks:
        verdict = told_.verdict
        yield ""
        yield f"Task {verdict.task}: {verdict.records} records, {verdict.state}, {_reached(told_)}"
        for text in lines.basis(told_.facts) if told_.facts else ():
            yield f"  {text}"
        for finding in verdict.findings:
            yield f"  {'gap' if finding.severity == 'incomplete' else 'FAIL':<5} {finding.check}: {finding.what}"
        yield f"  {len(verdict.not_proven)} points are not proven: see gatewright audit verify --task {verdict.task}"


def _named(one: Range, known: set[str]) -> str:
    if not one.task:
        return NOBODY
    by = {"trailer": "by its trailer", "folder": "whose evidence came with it", "source": "which sealed this source"}
    said = f"task {one.task} ({by[one.by]})"
    if one.task not in known:
        return f"{said}; !! no evidence of that task is here"
    if not one.is_recorded:
        said += "; its records do not name this commit: rebased, squashed with others, or not the bot's"
    if one.is_judged is None:
        return f"{said}; the commit that QA judged is not here"
    return said if one.is_judged else f"{said}; !! it does not stand so in what QA judged"


def _reached(one: Told) -> str:
    return f"reached {one.verdict.level} ({MEANING[one.verdict.level]})"


def _say(text: str) -> None:
    sys.stderr.write(report.plain(text) + "\n")
