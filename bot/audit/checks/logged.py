"""Level 4: is every checkpoint in the instance's log, and is that the log that others see?"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from hashlib import sha256

from bot.audit import entries as logged
from bot.audit.keys import VKey
from bot.audit.logcopy import LogCopy
from bot.audit.matter import KEY, SEAL, Matter
from bot.audit.merkle import is_included
from bot.audit.note import Checkpoint, Note, NoteError
from bot.audit.sheet import Severity, Sheet
from bot.audit.statement import Envelope, EnvelopeError
from bot.audit.trust import Trust

CHECK = "log"


def check(matter: Matter, sheet: Sheet) -> bool:
    """Tell whether level 4 is reached; nothing is looked at without trust."""
    trust = matter.trust
    if trust is None or matter.task_key is None or trust.instance != matter.opened.instance:
        return False
    places = _proofs(matter, trust, sheet)
    if matter.log is not None:
        places |= _copy(matter, trust, matter.log, sheet)
    elif trust.log_size:
        sheet.doubt(f"that the log grew from the {trust.log_size} entries that you saw: it is not at hand (--log DIR)")
    else:
        sheet.doubt("that everybody is shown the same log: it is not at hand (--log DIR)")
    _revoked(matter, trust, places, sheet)
    lacking = [size for size in matter.trusted_marks if size not in places]
    if lacking and matter.is_ended:
        sheet.find(CHECK, f"{len(lacking)} checkpoints are in no log that is proven here",
                   severity=Severity.INCOMPLETE, file=matter.folder.path(matter.marks[lacking[0]].path))  # fmt: skip
    elif lacking:
        sheet.doubt(f"that {len(lacking)} of {len(matter.trusted_marks)} checkpoints are in the log: not proven yet")
    if sheet.failed(CHECK) or lacking or not places:
        return False
    last = max(places)
    sheet.hold(CHECK, f"{len(places)} checkpoints logged; that over {last} records as entry {places[last]}")
    return True


def pruned(log: LogCopy | None, trust: Trust | None, task: str) -> dict[str, str]:
    """Name the payloads of a task that a log at hand says were deleted, with the reason; none of a log not trusted."""
    if log is None or trust is None or log.said.size > len(log.lines) or head_problem(log.head, trust, log):
        return {}
    said = [one for one in log.entries[: log.said.size] if isinstance(one, logged.BlobsPruned) and one.task == task]
    return {target: one.reason for one in said for target in one.targets}


def head_problem(note: Note, trust: Trust, log: LogCopy | None) -> str:
    """Say why a head of the log is not to be believed; empty for one that is."""
    try:
        said = Checkpoint.parse(note.text)
    except NoteError as error:
        return f"its head is none: {error}"
    if said.origin != trust.instance:
        return f"its head is of {said.origin[:80]!a}"
    return _signed_problem(note, said.size, trust, log) or _fork_problem(said, trust, log)


def _signed_problem(note: Note, size: int, trust: Trust, log: LogCopy | None) -> str:
    if any(note.is_by(key) for key in trust.keys):
        return ""
    old = next((key for key in trust.revoked if note.is_by(key)), None)
    if old is None:
        return "no key of the trust file signed its head"
    if size > trust.revoked[old]:
        return f"a revoked key signed its head of {size} entries; it counted for {trust.revoked[old]}"
    return "a revoked key signed its head, and the log is not at hand to compare (--log DIR)" if log is None else ""


def _fork_problem(said: Checkpoint, trust: Trust, log: LogCopy | None) -> str:
    if said.size == trust.log_size and trust.log_root and said.root != trust.log_root:
        return f"its head of {said.size} entries is not the one you saw: there are two logs"
    if log is not None and said.size <= len(log.lines) and not log.holds(said):
        return f"its head of {said.size} entries is not that of the log at hand: there are two logs"
    if log is not None and said.size > len(log.lines):
        return f"its head has {said.size} entries, the log at hand {len(log.lines)}: that one was rolled back"
    return ""


def _proofs(matter: Matter, trust: Trust, sheet: Sheet) -> dict[int, int]:
    """Name the log's entry for each checkpoint that is proven: size -> index."""
    places: dict[int, int] = {}
    heads: dict[int, bytes] = {}
    for size, proof in sorted(matter.proofs.items()):
        path = matter.folder.path(f"audit/proofs/{size:010d}.tlog-proof")
        mark = matter.marks.get(size)
        if mark is None:
            sheet.find(CHECK, "proves a checkpoint that is not here", severity=Severity.INCOMPLETE, file=path)
            continue
        problem = head_problem(proof.checkpoint, trust, matter.log)
        if problem:
            is_gap = problem.endswith("(--log DIR)")
            sheet.find(CHECK, problem, severity=Severity.INCOMPLETE if is_gap else Severity.TAMPERED, file=path)
            continue
        head = Checkpoint.parse(proof.checkpoint.text)
        line = logged.encode(logged.TaskCheckpoint(mark.raw.decode("utf-8"), matter.folder.task))
        if heads.setdefault(head.size, head.root) != head.root:
            sheet.find(CHECK, f"two heads of {head.size} entries differ: there are two logs", file=path)
        elif not is_included(line, proof.index, head.size, proof.hashes, head.root):
            sheet.find(CHECK, "does not prove that its checkpoint was logged", file=path)
        else:
            places[size] = proof.index
    return places


def _copy(matter: Matter, trust: Trust, log: LogCopy, sheet: Sheet) -> dict[int, int]:
    """Hold the log at hand to its head, to the auditor's, and to this task's entries."""
    problem = log_problem(log, trust)
    if problem:
        sheet.find(CHECK, problem)
        return {}
    task = matter.folder.task
    places: dict[int, int] = {}
    roots = matter.roots(_sizes(log, task))
    for index, entry in enumerate(log.entries[: log.said.size]):
        match entry:
            case logged.TaskOpened(delegation=said) if entry.task == task:
                if said.encode() != matter.folder.files.get(KEY, said.encode()):
                    sheet.find(CHECK, f"entry {index} opens this task with another key", matter.entries[0])
            case logged.TaskCheckpoint(note=said) if entry.task == task:
                _mark(matter, said, index, roots, sheet, places)
            case logged.TaskSealed(envelope_sha256=said, size=size) if entry.task == task:
                _seal(matter, said, size, index, sheet)
            case _:
                pass
    return places


def _sizes(log: LogCopy, task: str) -> Iterator[int]:
    """List the sizes that the log's checkpoints of a task speak of."""
    for entry in log.entries:
        if isinstance(entry, logged.TaskCheckpoint) and entry.task == task:
            number = entry.note.split("\n")[1:2]
            if number and number[0].isascii() and number[0].isdigit() and len(number[0]) < 16:
                yield int(number[0])


def log_problem(log: LogCopy, trust: Trust) -> str:
    """Say why a copy of the log is not to be believed; empty for one that is."""
    if log.said.size > len(log.lines):
        return f"the log at hand has {len(log.lines)} entries, and its head speaks of {log.said.size}"
    if log.root(log.said.size) != log.said.root:
        return f"the log at hand is not what its head of {log.said.size} entries says: an entry was changed"
    problem = head_problem(log.head, trust, log)
    if problem:
        return f"of the log at hand: {problem}"
    if trust.log_size > log.said.size:
        return f"the log at hand was rolled back: it has {log.said.size} entries, and you saw {trust.log_size}"
    if trust.log_root and log.root(trust.log_size) != trust.log_root:
        return f"the log at hand did not grow from the {trust.log_size} entries that you saw: there are two logs"
    return ""


def _mark(matter: Matter, text: str, index: int, roots: dict[int, bytes], sheet: Sheet, places: dict[int, int]) -> None:
    try:
        note = Note.parse(text.encode())
        said = Checkpoint.parse(note.text)
    except NoteError as error:
        sheet.find(CHECK, f"entry {index} holds no checkpoint: {error}")
        return
    if matter.task_key is None or said.origin != matter.origin or not note.is_by(matter.task_key):
        sheet.find(CHECK, f"entry {index} holds a checkpoint that the task's key did not sign")
    elif said.size > matter.size:
        what = f"entry {index} holds a checkpoint over {said.size} records, and {matter.size} are here"
        severity = Severity.TAMPERED if matter.is_sealed else Severity.INCOMPLETE
        if not sheet.failed(CHECK):
            sheet.find(CHECK, what, matter.entries[-1], severity=severity)
    elif said.root != roots.get(said.size):
        what = f"entry {index} holds a checkpoint over {said.size} other records"
        sheet.find(CHECK, what, matter.entries[said.size - 1])
    else:
        places[said.size] = index


def _seal(matter: Matter, said: str, size: int, index: int, sheet: Sheet) -> None:
    raw = matter.folder.files.get(SEAL)
    if raw is None or not matter.is_sealed:
        what = f"entry {index} says that the task was sealed with {size} records; the seal is not in this copy"
        sheet.find(CHECK, what, matter.entries[-1], severity=Severity.INCOMPLETE)
    elif (sha256(raw).hexdigest(), matter.size) != (said, size):
        found = sha256(raw).hexdigest()
        sheet.find(CHECK, f"entry {index} is of another seal", matter.entries[-1], expected=said, found=found)


def _revoked(matter: Matter, trust: Trust, places: dict[int, int], sheet: Sheet) -> None:
    """Believe a revoked key only for what was logged before it was revoked."""
    for name, signed, size in ((KEY, _signers(matter, trust), 1), (SEAL, _sealers(matter, trust), matter.size)):
        keys = list(signed)
        if not keys or any(key not in trust.revoked for key in keys):
            continue
        until = max(trust.revoked[key] for key in keys)
        path = matter.folder.path(name)
        if size not in places:
            what = "a revoked key signed it, and nothing proves that it was logged before"
            sheet.find(CHECK, what, severity=Severity.INCOMPLETE, file=path)
        elif places[size] >= until:
            what = "a key signed it that was revoked before it was logged"
            sheet.find(CHECK, what, file=path, expected=f"an entry before {until}", found=f"entry {places[size]}")


def _signers(matter: Matter, trust: Trust) -> Iterable[VKey]:
    try:
        note = Note.parse(matter.folder.files.get(KEY, b""))
    except NoteError:
        return ()  # level 2 says so
    return [key for key in trust.known if note.is_by(key)]


def _sealers(matter: Matter, trust: Trust) -> Iterable[VKey]:
    try:
        envelope = Envelope.parse(matter.folder.files[SEAL])
        return [key for key in trust.known if envelope.is_by(key)]
    except (EnvelopeError, KeyError):
        return ()  # level 2 says so
