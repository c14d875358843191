"""Judge a task's evidence: parsed (L0), then chain, schema and meaning (L1); and say what remains unproven."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from bot.audit import place
from bot.audit.blobs import Blobs
from bot.audit.checks import attention, calls, chain, documents, gates, history, limits, payloads, rulings, usage, work
from bot.audit.kinds import TaskClosed, TaskOpened
from bot.audit.objects import ObjectAltered, ObjectMissing
from bot.audit.place import Found
from bot.audit.sheet import LEVELS, Entry, Severity, Sheet, Verdict
from bot.model.errors import UsageError

ALWAYS: Final = (
    "that nothing was cut off after the last record, or all of it written anew: there are no anchors yet",
    "that what was recorded was true when the operator of the instance wrote it",
    "that the provider's model was the one named (basis: claimed)",
)


def verify(path: Path, *, task: str | None = None, rev: str | None = None, blobs: Path | None = None) -> list[Verdict]:
    """Verify what lies at a path, one verdict a task; raise UsageError, or NoEvidence where nothing can be judged."""
    if blobs is not None and not blobs.is_dir():
        raise UsageError("GW-AUDIT-BLOBS", f"{blobs} is no directory", fix="name the directory that holds the blobs")
    store = Blobs(blobs) if blobs is not None else None
    with place.evidence(path, task, rev) as found:
        return [judge(one, store) for one in found]


def judge(found: Found, blobs: Blobs | None = None) -> Verdict:
    """Verify one task's evidence; without a store the contents of blobs stay unproven."""
    sheet, folder = found.sheet, found.folder
    entries = chain.read(folder, sheet)
    whole = bool(entries) and not sheet.failed("chain", Severity.TAMPERED)
    if whole:
        _meaning(entries, found, blobs, sheet)
    elif entries:
        sheet.hold("chain", f"records 0 to {entries[-1].seq}" if len(entries) > 1 else "record 0")
    _always(entries, sheet, whole=whole, in_git=found.objects is not None)
    broken = any(finding.severity is not Severity.INCOMPLETE for finding in sheet.findings)
    level = -1 if not entries else 0 if broken or not whole else 1
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
    )


def _meaning(entries: Sequence[Entry], found: Found, blobs: Blobs | None, sheet: Sheet) -> None:
    passed = gates.check(entries, sheet)
    rulings.check(entries, sheet)
    limits.check(entries, sheet)
    attention.check(entries, sheet)
    calls.check(entries, sheet)
    usage.check(entries, found.folder, sheet)
    done = work.check(entries, sheet)
    bound = payloads.check(entries, found.folder, blobs, sheet)
    standing = passed.standing
    drafts = {gate.value: draft.sha256 for gate, draft in standing.drafts.items()}
    documents.check(found.folder, drafts, [gate.value for gate in standing.passed], done.judged, bound, sheet)
    gates.summarise(passed, sheet)
    if found.objects is not None:
        try:
            history.check(entries, found.objects, found.tip, sheet)
        except (ObjectAltered, ObjectMissing) as error:
            severity = Severity.TAMPERED if isinstance(error, ObjectAltered) else Severity.INCOMPLETE
            sheet.find("commits", error.what, severity=severity, found=error.why)


def _always(entries: Sequence[Entry], sheet: Sheet, *, whole: bool, in_git: bool) -> None:
    """Name what no verifier can tell from a journal alone."""
    if entries and not whole:
        sheet.doubt("anything from the named record on: what follows it was not judged")
    opened = entries[0].data if entries else None
    if isinstance(opened, TaskOpened):
        name = opened.vkey.partition("+")[0] or opened.instance
        sheet.doubt(f"that instance {name!a} wrote these records: they are not signed yet")
    if not in_git:
        sheet.doubt("that the named commits exist: this is no git repository")
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
