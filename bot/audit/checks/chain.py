"""Is the journal whole: files, lines, records, links?"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice

from bot.audit import layout
from bot.audit.chain import ChainError, genesis, walk
from bot.audit.folder import Folder
from bot.audit.kinds import TaskOpened
from bot.audit.record import Record, RecordError, data_of, decode
from bot.audit.sheet import Entry, Line, Severity, Sheet, hash_of


def read(folder: Folder, sheet: Sheet) -> list[Entry]:
    """Read the records up to the first that cannot be believed."""
    _files(folder, sheet)
    lines = list(folder.lines())
    _torn(folder, sheet)
    if not lines:
        sheet.find("chain", "the journal holds no record", file=folder.path("audit/0000.jsonl"))
        return []
    start = _genesis(lines[0], folder, sheet)
    if start is None:
        return []
    return _walk(lines, start, sheet)


def _files(folder: Folder, sheet: Sheet) -> None:
    for name, why in folder.refused:
        sheet.find("files", why, file=folder.path(name))
    for name in sorted(folder.files):
        if not layout.is_known(name):
            sheet.find("files", "is no part of the evidence and does not belong here", file=folder.path(name))
        elif (size := len(folder.files[name])) > layout.limit(name):
            what = "is larger than such a file can be"
            sheet.find("files", what, file=folder.path(name), expected=f"at most {layout.limit(name)}", found=str(size))
        elif name in layout.FIXED and folder.files[name] not in layout.FIXED[name]:
            sheet.find("files", "says something else than any version writes there", file=folder.path(name))
    for name in folder.strangers:
        sheet.find("files", "belongs to no task and does not belong here", file=f"{layout.ROOT}/{name}")
    for number, name in enumerate(folder.segments):
        if name != f"audit/{number:04d}.jsonl":
            sheet.find("files", f"a segment is missing: audit/{number:04d}.jsonl", file=folder.path(name))
            break
        if not folder.files[name]:
            sheet.find("files", "is an empty segment", file=folder.path(name))


def _torn(folder: Folder, sheet: Sheet) -> None:
    last = folder.path(folder.segments[-1]) if folder.segments else ""
    for line in folder.torn():
        severity = Severity.INCOMPLETE if line.file == last else Severity.TAMPERED
        what = f"{len(line.content)} bytes without a line feed: a write was cut short, or the end was cut off"
        sheet.find("chain", what, severity=severity, file=line.file, line=line.number)


def _genesis(line: Line, folder: Folder, sheet: Sheet) -> str | None:
    """Compute what record 0 must follow from what it says of itself and from where it lies."""
    try:
        record = decode(line.content)
        opened = data_of(record)
    except RecordError as error:
        _unreadable(sheet, 0, error, [line])
        return None
    entry = Entry(record, opened, line)
    if not isinstance(opened, TaskOpened):
        sheet.find("chain", "the first record must be task.opened", entry, found=record.kind)
        return None
    if record.task != folder.task:
        what = "this is the journal of another task"
        sheet.find("chain", what, entry, expected=folder.task, found=record.task)
        return None
    key = f"{opened.forge}:{opened.host}:{opened.repo_id}"
    if opened.repo != key:
        sheet.find("chain", "the repository is named in two ways", entry, expected=key, found=opened.repo)
    return genesis(opened.instance, key, folder.task)


def _walk(lines: Sequence[Line], start: str, sheet: Sheet) -> list[Entry]:
    entries: list[Entry] = []
    records = walk((line.content for line in lines), start)
    try:
        for (record, _), line in zip(records, lines, strict=False):
            entries.append(Entry(record, data_of(record), line))
    except ChainError as error:
        if isinstance(error.__cause__, RecordError):
            _unreadable(sheet, error.seq, error.__cause__, lines[error.seq : error.seq + 2])
        else:
            _unlinked(sheet, error, lines)
        return entries[: error.seq]
    sheet.hold("chain", f"{_count(len(entries))}, no gap, no fork")
    return entries


def _unreadable(sheet: Sheet, seq: int, error: RecordError, lines: Sequence[Line]) -> None:
    """Report a line that is no record; its follower may say what it should hash to."""
    line = lines[0]
    expected = _named_by(lines[1], seq + 1) if len(lines) > 1 else ""
    what = f"record {seq}: {error.fault.value}: {error.what}"
    sheet.find("chain", what, expected=expected, found=hash_of(line), file=line.file, line=line.number)


def _unlinked(sheet: Sheet, error: ChainError, lines: Sequence[Line]) -> None:
    line = next(islice(lines, error.seq, None))
    try:
        record: Record | None = decode(line.content)
    except RecordError:
        record = None
    expected, found = error.expected, error.found
    if len(expected) == 64:
        expected, found = f"sha256:{expected}", f"sha256:{found}"
    if record is None:
        sheet.find("chain", error.what, expected=expected, found=found, file=line.file, line=line.number)
        return
    entry = Entry(record, data_of(record), line)
    at = entry.seq == error.seq
    what = error.fault if at else error.what
    if at:
        sheet.find("chain", what, entry, expected=expected, found=found)
    else:  # the record calls itself otherwise: name its place, not its claim
        sheet.find("chain", what, expected=expected, found=found, file=line.file, line=line.number)


def _named_by(line: Line, seq: int) -> str:
    try:
        return f"sha256:{decode(line.content).prev}, from record {seq}"
    except RecordError:
        return ""


def _count(records: int) -> str:
    return "1 record" if records == 1 else f"{records} records"
