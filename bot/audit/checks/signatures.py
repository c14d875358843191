"""Level 2: did the instance sign for the task's key, that key for these records, and both for the seal?"""

from __future__ import annotations

from bot.audit import seal
from bot.audit.delegation import Delegation
from bot.audit.keys import VKey
from bot.audit.matter import KEY, SEAL, SIGNED_AFTER, Matter
from bot.audit.note import Checkpoint, Note, NoteError
from bot.audit.report import when
from bot.audit.sheet import Severity, Sheet
from bot.audit.statement import Envelope, EnvelopeError

CHECK = "signed"


def check(matter: Matter, sheet: Sheet) -> bool:
    """Tell whether level 2 is reached; without trust only what contradicts itself is found."""
    if matter.task_key is None:
        if not sheet.failed(CHECK):
            sheet.doubt("that the instance wrote these records: journals of that version were not signed")
        if matter.marks or SEAL in matter.folder.files:
            sheet.find(CHECK, "signatures lie here, and record 0 names no key for them", matter.entries[0])
        return False
    instance = _delegated(matter, matter.task_key, sheet)
    _marks(matter, matter.task_key, sheet)
    _coverage(matter, sheet)
    _sealed(matter, matter.task_key, sheet)
    if sheet.failed(CHECK) or sheet.failed("seal") or instance is None:
        return False
    sheet.hold(
        CHECK, f"{len(matter.trusted_marks)} checkpoints up to record {matter.covered - 1}, key {_id(matter.task_key)}"
    )
    return True


def _delegated(matter: Matter, key: VKey, sheet: Sheet) -> VKey | None:
    """Name the trusted key of the instance that signed for the task's; None where none did or nobody is trusted."""
    raw = matter.folder.files.get(KEY)
    path = matter.folder.path(KEY)
    if raw is None:
        if matter.trust is not None:
            what = "the instance's signature for the task's key is missing"
            sheet.find(CHECK, what, severity=Severity.INCOMPLETE, file=path)
        return None
    try:
        note = Note.parse(raw)
        said = Delegation.parse(note.text)
    except NoteError as error:
        sheet.find(CHECK, f"is not what it should be: {error}", file=path)
        return None
    first = matter.entries[0].record
    if said.key != key:
        sheet.find(CHECK, "is for another key than record 0 names", file=path, expected=str(key), found=str(said.key))
    if said.genesis != first.prev:
        sheet.find(CHECK, "is for another journal", file=path, expected=first.prev, found=said.genesis)
    if said.since_ms > first.ts:
        what = "is for a time after record 0"
        sheet.find(CHECK, what, file=path, expected=f"at most {when(first.ts)}", found=when(said.since_ms))
    return _by_instance(matter, note, path, sheet)


def _by_instance(matter: Matter, note: Note, path: str, sheet: Sheet) -> VKey | None:
    trust, name = matter.trust, matter.opened.instance
    if trust is None:
        return None
    if trust.instance != name:
        what = f"is of instance {name!a}, and the trust file speaks for {trust.instance!a}"
        sheet.find(CHECK, what, severity=Severity.INCOMPLETE, file=path)
        return None
    found = next((key for key in trust.known if note.is_by(key)), None)
    if found is None:
        keys = ", ".join(_id(key) for key in trust.known)
        said = ", ".join(one.key_id.hex() for one in note.signatures)
        sheet.find(CHECK, "no key of the trust file signed for the task's key", file=path, expected=keys, found=said)
        return None
    sheet.hold(CHECK, f"instance {name} by key {_id(found)} for the task's own key")
    return found


def _marks(matter: Matter, key: VKey, sheet: Sheet) -> None:
    roots = matter.roots(matter.marks)
    for size, mark in sorted(matter.marks.items()):
        path = matter.folder.path(mark.path)
        if not mark.note.is_by(key):
            sheet.find(CHECK, "the task's key did not sign it", file=path, expected=_id(key))
        elif mark.said.origin != matter.origin or mark.said.size != size or not size:
            what = "is a checkpoint of something else than its name says"
            sheet.find(CHECK, what, file=path, expected=f"{matter.origin} {size}", found=mark.said.trailer)
        elif size > matter.size:
            what = f"{size} records were signed, and {matter.size} are here: the end was cut off"
            sheet.find(CHECK, what, matter.entries[-1], expected=f"{size} records", found=f"{matter.size} records")
        elif mark.said.root != roots[size]:
            what = f"other records were signed as the first {size}"
            want = Checkpoint(matter.origin, size, roots[size]).trailer
            sheet.find(CHECK, what, matter.entries[size - 1], expected=mark.said.trailer, found=want)


def _coverage(matter: Matter, sheet: Sheet) -> None:
    """Name records that had to be signed and were not, and the tail that nothing covers."""
    if matter.trust is None:
        if not matter.marks:
            sheet.doubt("that the instance wrote these records: no signature lies here")
        return
    covered = matter.covered
    due = [entry for entry in matter.entries[:covered] if entry.seq == 0 or entry.record.kind in SIGNED_AFTER]
    lacking = [entry for entry in due if entry.seq + 1 not in matter.marks]
    for entry in lacking[:3]:
        path = matter.folder.path(f"audit/checkpoints/{entry.seq + 1:010d}.note")
        sheet.find(CHECK, f"the checkpoint after record {entry.seq} ({entry.record.kind}) is missing",
                   severity=Severity.INCOMPLETE, file=path)  # fmt: skip
    tail = matter.size - covered
    if tail:
        entry = matter.entries[covered]
        span = (matter.entries[-1].record.ts - entry.record.ts) // 1000
        what = f"nothing signed covers the last {tail} records, which span {span} s from {when(entry.record.ts)}"
        sheet.find(CHECK, what, entry, severity=Severity.INCOMPLETE)
        sheet.doubt(
            f"that the last {tail} records, from record {entry.seq} on, are as written: they follow the last anchor"
        )


def _sealed(matter: Matter, key: VKey, sheet: Sheet) -> None:
    raw = matter.folder.files.get(SEAL)
    path = matter.folder.path(SEAL)
    if raw is None:
        if matter.is_sealed and matter.trust is not None:
            what = "the journal was sealed, and the seal is missing"
            sheet.find("seal", what, matter.entries[-1], severity=Severity.INCOMPLETE)
        elif matter.is_ended and matter.trust is not None:
            what = "the task has ended, and this copy is not sealed"
            sheet.find("seal", what, matter.entries[-1], severity=Severity.INCOMPLETE)
        elif not matter.is_ended:
            sheet.doubt("that nothing follows: by this copy the task still runs; an audit ref may hold more")
        return
    if not matter.is_sealed:
        sheet.find("seal", "a seal lies here, and the last record is none", matter.entries[-1], found=path)
    else:
        _envelope(matter, key, raw, sheet)


def _envelope(matter: Matter, key: VKey, raw: bytes, sheet: Sheet) -> None:
    """Hold the seal to its signers and to what the records come to."""
    path = matter.folder.path(SEAL)
    try:
        envelope = Envelope.parse(raw)
        said = envelope.statement()
        is_by_task = envelope.is_by(key)
        theirs = [one for one in (matter.trust.known if matter.trust else ()) if envelope.is_by(one)]
        derived = seal.derive(matter.entries)
    except (EnvelopeError, seal.SealError) as error:
        sheet.find("seal", str(error), matter.entries[-1], found=path)
        return
    if not is_by_task:
        sheet.find("seal", "the task's key did not sign it", file=path, expected=_id(key))
    is_theirs = matter.trust is not None and matter.trust.instance == matter.opened.instance
    if is_theirs and not theirs:
        sheet.find("seal", "no key of the trust file signed it", file=path)
    signers = {one.key_id.hex() for one in (key, *theirs)}
    if bytes(envelope) != raw or (theirs and {one.keyid for one in envelope.signatures} != signers):
        sheet.find("seal", "is not spelled as a seal is, or names other keys than signed it", file=path)
    if said.predicate.task != matter.folder.task:
        sheet.find("seal", "is another task's", file=path, expected=matter.folder.task, found=said.predicate.task)
    for name in seal.differences(said, derived):
        here, there = (getattr(one.predicate, name, one.subject) for one in (derived, said))
        what = f"the seal says otherwise than the records: {name}"
        sheet.find("seal", what, matter.entries[-1], expected=str(here), found=str(there))
    if not sheet.failed("seal") and matter.trust is not None:
        sheet.hold("seal", f"{matter.size} records, outcome {said.predicate.outcome or 'none'}, says what they come to")


def _id(key: VKey) -> str:
    return key.key_id.hex()
