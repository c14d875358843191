"""Judge a task's evidence, from parsed (L0) to witnessed (L5); and say what remains unproven."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec

from bot.audit import place
from bot.audit.blobs import Blobs
from bot.audit.checks import (
    anchors,
    attention,
    calls,
    chain,
    clock,
    documents,
    gates,
    history,
    limits,
    logged,
    merged,
    payloads,
    regulator,
    rulings,
    signatures,
    usage,
    witnessed,
    work,
)
from bot.audit.kinds import TaskClosed, TaskOpened
from bot.audit.logcopy import LogCopy
from bot.audit.matter import Matter
from bot.audit.objects import ObjectAltered, ObjectMissing
from bot.audit.place import Found
from bot.audit.sheet import LEVELS, Entry, Finding, Severity, Sheet, Verdict
from bot.audit.trust import Trust
from bot.model.errors import UsageError

# What no verifier of these files can tell, whatever level is reached.
ALWAYS: Final = (
    "that what was recorded was true when the operator of the instance wrote it",
    "that the provider's model was the one named (basis: claimed)",
    "that whoever runs the forge invented no comment, account or time",
    "that approvers' accounts and keys were used by nobody else",
    "that no change was made past the bot: --all finds merged commits of the bot, and no others",
    "that SHA-256 and Ed25519 hold",
    "that no task was deleted together with every copy of its anchors",
)
# What is missing below a level, weakest first: the first line whose level was not reached is printed.
SHORT: Final = (
    (
        2,
        "that nothing was cut off after the last record, or all of it written anew: no signature, no anchor holds it",
    ),
    (3, "that whoever holds the instance's key wrote nothing anew: it is signed, and not anchored"),
    (
        4,
        "that whoever holds the instance's key wrote nothing anew together with the repository: it is in no proven log",
    ),
    (5, "that the instance's operator shows everybody the same log: nobody else's signature or time stamp is on it"),
)


class Terms(msgspec.Struct, frozen=True):
    """How to judge: whom to trust, which log to compare with, and the level asked (None: the highest there can be)."""

    trust: Trust | None = None
    log: LogCopy | None = None
    level: int | None = None
    blobs: Blobs | None = None


def terms(
    trust: Trust | None = None, log: Path | None = None, level: int | None = None, blobs: Path | None = None
) -> Terms:
    """Open what is named; raise UsageError where that cannot be, or the level cannot be reached with it."""
    if blobs is not None and not blobs.is_dir():
        raise UsageError("GW-AUDIT-BLOBS", f"{blobs} is no directory", fix="name the directory that holds the blobs")
    highest = trust.highest if trust else 1
    if level is not None and level > highest:
        lacking = "whom to trust: --trust FILE" if trust is None else "witnesses or time stamping authorities in it"
        raise UsageError(
            "GW-AUDIT-LEVEL", f"level L{level} cannot be reached with what was given", why=f"it takes {lacking}",
            fix=f"ask for L{highest} at most, or give what it takes",
        )  # fmt: skip
    folder = log or (trust.log_dir if trust else None)
    copy = LogCopy.load(folder) if folder is not None else None
    return Terms(trust, copy, level, Blobs(blobs) if blobs is not None else None)


def verify(path: Path, *, task: str | None = None, rev: str | None = None, by: Terms | None = None) -> list[Verdict]:
    """Verify what lies at a path, one verdict a task; raise UsageError, or NoEvidence where nothing can be judged."""
    with place.evidence(path, task, rev) as found:
        return [judge(one, by) for one in found]


def judge(found: Found, by: Terms | None = None) -> Verdict:
    """Verify one task's evidence: the longest copy, and every shorter one beside it."""
    by = by or Terms()
    if found.fuller is None:
        return _judge(found, found.tip, by)
    shorter = _judge(found, found.tip, by)
    longest = _judge(found.fuller, found.tip, by)
    known = {(one.check, one.what, one.record) for one in longest.findings}
    more = [one for one in shorter.findings if one.severity is Severity.TAMPERED and _key(one) not in known]
    copies = [one for one in shorter.held if one.check in ("copy", "audit ref")]
    return msgspec.structs.replace(longest, findings=(*more, *longest.findings), held=(*copies, *longest.held))


def _judge(found: Found, tip: str, by: Terms) -> Verdict:
    sheet, folder = found.sheet, found.folder
    entries = chain.read(folder, sheet)
    whole = bool(entries) and not sheet.failed("chain", Severity.TAMPERED)
    level = min(len(entries), 1) - 1
    if whole:
        _meaning(entries, found, tip, by, sheet)
    elif entries:
        sheet.hold("chain", f"records 0 to {entries[-1].seq}" if len(entries) > 1 else "record 0")
    broken = any(finding.severity is not Severity.INCOMPLETE for finding in sheet.findings)
    opened = entries[0].data if entries else None
    matter = Matter(entries, opened, folder, sheet, by.trust, by.log) if isinstance(opened, TaskOpened) else None
    if whole and matter is not None:
        level = _anchored(matter, found, tip, sheet, 0 if broken else 1)
    _always(entries, sheet, level, whole=whole, in_git=found.objects is not None)
    return Verdict(
        task=folder.task,
        title=_title(entries),
        source=found.source,
        records=len(entries),
        first_ms=entries[0].record.ts if entries else 0,
        last_ms=entries[-1].record.ts if entries else 0,
        state=_state(entries) if whole else "unknown",
        level=LEVELS[level],
        held=tuple(sheet.held),
        findings=tuple(sheet.findings),
        not_proven=tuple(sheet.not_proven),
        attention=tuple(sheet.attention),
        asked=LEVELS[_asked(by, matter)],
        regulator=regulator.judged(entries, sheet) if whole else (),
    )


def _anchored(matter: Matter, found: Found, tip: str, sheet: Sheet, level: int) -> int:
    """Look at everything above level 1, and name the highest level below which nothing is missing."""
    reached = [signatures.check(matter, sheet)]
    tips = list(dict.fromkeys(one for one in (found.tip, tip) if one))
    reached.append(anchors.check(matter, found.objects, tips, sheet))
    if found.objects is not None:
        merged.check(matter, found.objects, tip, sheet)
    reached.append(logged.check(matter, sheet))
    reached.append(witnessed.check(matter, sheet))
    clock.check(matter, sheet)
    for is_reached in reached:
        if not level or not is_reached:
            return level
        level += 1
    return level


def _asked(by: Terms, matter: Matter | None) -> int:
    """Name the level to reach: a task that still runs need not be in the log yet."""
    if by.level is not None:
        return by.level
    highest = by.trust.highest if by.trust else 1
    is_open = matter is not None and bool(matter.entries) and not matter.is_ended
    return min(highest, 3) if is_open else highest


def _key(finding: Finding) -> tuple[str, str, int | None]:
    return finding.check, finding.what, finding.record


def _meaning(entries: Sequence[Entry], found: Found, tip: str, by: Terms, sheet: Sheet) -> None:
    passed = gates.check(entries, sheet)
    rulings.check(entries, sheet)
    limits.check(entries, sheet)
    attention.check(entries, sheet)
    calls.check(entries, sheet)
    usage.check(entries, found.folder, sheet)
    done = work.check(entries, sheet)
    pruned = logged.pruned(by.log, by.trust, found.folder.task)
    bound = payloads.check(entries, found.folder, by.blobs, sheet, pruned)
    standing = passed.standing
    drafts = {gate.value: draft.sha256 for gate, draft in standing.drafts.items()}
    documents.check(found.folder, drafts, [gate.value for gate in standing.passed], done.judged, bound, sheet)
    gates.summarise(passed, sheet)
    if found.objects is not None:
        try:
            history.check(entries, found.objects, tip, sheet)
        except (ObjectAltered, ObjectMissing) as error:
            severity = Severity.TAMPERED if isinstance(error, ObjectAltered) else Severity.INCOMPLETE
            sheet.find("commits", error.what, severity=severity, found=error.why)


def _always(entries: Sequence[Entry], sheet: Sheet, level: int, *, whole: bool, in_git: bool) -> None:
    """Name what cannot be told at this level, and what no verifier can tell at any."""
    if entries and not whole:
        sheet.doubt("anything from the named record on: what follows it was not judged")
    if not in_git:
        sheet.doubt("that the named commits exist: this is no git repository")
    for needed, text in SHORT:
        if level < needed:
            sheet.doubt(text)
            break
    for text in ALWAYS:
        sheet.doubt(text)


def _title(entries: Sequence[Entry]) -> str:
    opened = entries[0].data if entries else None
    if not isinstance(opened, TaskOpened):
        return ""
    return f"{opened.path} #{opened.issue}" if opened.issue else opened.path


def _state(entries: Sequence[Entry]) -> str:
    if any(entry.record.kind == "seal" for entry in entries):
        return "sealed"
    closed = next((entry.data for entry in reversed(entries) if isinstance(entry.data, TaskClosed)), None)
    return f"closed ({closed.state})" if closed else "open"
