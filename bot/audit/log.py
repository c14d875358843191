"""The instance log on disk: entries that only ever get more, and heads signed over all of them.

    entries/000000.jsonl        1,000 entries a file, one a line
    checkpoint                  the newest head: a signed note (c2sp.org/tlog-checkpoint)
    checkpoints/<size>.note     every head that was signed

The folder is what is published; `lock` in it holds the one writer. An entry counts once its bytes are on the disk.
"""

from __future__ import annotations

import fcntl
import os
import re
import secrets
from collections.abc import Callable, Iterable, Iterator, Sequence
from hashlib import sha256
from pathlib import Path
from typing import IO, Final, Self

import msgspec

from bot.audit.merkle import is_included
from bot.audit.nodes import Nodes
from bot.audit.note import Checkpoint, Note, NoteError, Proof
from bot.model.errors import GatewrightError

PER_FILE: Final = 1_000
ENTRIES: Final = "entries"
HEADS: Final = "checkpoints"
NEWEST: Final = "checkpoint"
_NAME: Final = re.compile(r"[0-9]{6}\.jsonl")
_CHUNK: Final = 1 << 20

See = Callable[[int, bytes], None]  # the number of an entry, and its line


def _ignore(number: int, line: bytes) -> None:
    """Take no notice of an entry."""


class LogError(GatewrightError):
    """An instance log that must not be written to as it lies there (`GW-LOG-...`)."""


class Head(msgspec.Struct, frozen=True):
    """How far a log goes, and its root there."""

    size: int
    root: bytes


class Torn(msgspec.Struct, frozen=True):
    """What a write that was cut short left behind, and which was cut off."""

    size: int
    sha256: str


class Log:
    """The one writer of a log; memory does not grow with its entries."""

    def __init__(self, folder: Path, lock: IO[bytes]) -> None:
        self.folder = folder
        self.torn: Torn | None = None
        self._lock = lock
        self._nodes = Nodes()
        self._file: IO[bytes] | None = None

    @classmethod
    def open(cls, folder: Path, remembered: Head | None = None, see: See = _ignore) -> Self:
        """Open or make a log, for one writer at a time; raise LogError where it is not what was remembered or signed.

        Every entry is read and hashed once, and `see` is told of it.
        """
        (folder / ENTRIES).mkdir(mode=0o755, parents=True, exist_ok=True)
        (folder / HEADS).mkdir(mode=0o755, exist_ok=True)
        log = cls(folder, _locked(folder / "lock"))
        try:
            log.torn = _cut(folder)
            for number, line in enumerate(read(folder)):
                log._nodes.append(line)
                see(number, line)
            log.check(log._signed())
            log.check(remembered)
        except BaseException:
            log.close()
            raise
        return log

    @property
    def head(self) -> Head:
        """Say how far the log goes now."""
        return Head(self._nodes.size, self._nodes.root())

    def check(self, other: Head | None) -> None:
        """Hold the log to a head that somebody remembers; raise LogError where it does not begin with that."""
        if other is None or not other.size:
            return
        if other.size > self._nodes.size:
            raise LogError(
                "GW-LOG-BEHIND",
                f"the instance log in {self.folder} is behind what was logged",
                why=f"it has {self._nodes.size} entries, {other.size} are remembered",
                fix="restore the folder, or name the right one in [audit] log_dir; docs/operations.md, Instance log",
            )
        if self._nodes.root(other.size) != other.root:
            raise LogError(
                "GW-LOG-BESIDE",
                f"the instance log in {self.folder} is another one, or was altered",
                why=f"its first {other.size} entries are not those that are remembered",
                fix="keep the folder as it is, and find the one that was written; docs/operations.md, Instance log",
            )

    def append(self, lines: Sequence[bytes]) -> int:
        """Append entries durably; return the number of the first."""
        first = self._nodes.size
        for start, batch in _batches(lines, first):
            file = self._open(start)
            before = file.tell()
            try:
                _write(file, b"".join(line + b"\n" for line in batch))
            except OSError:
                file.truncate(before)
                raise
            for line in batch:
                self._nodes.append(line)
        return first

    def publish(self, note: Note) -> None:
        """Lay down a signed head of the log as it is, with whatever stands below it by now."""
        said = Checkpoint.parse(note.text)
        self.check(Head(said.size, said.root))
        _replace(self.folder / HEADS / f"{said.size:010d}.note", bytes(note))
        _replace(self.folder / NEWEST, bytes(note))

    def published(self) -> Note | None:
        """Read the newest signed head; None where nothing was signed yet."""
        return newest(self.folder)

    def proof(self, index: int, line: bytes, head: Note) -> Proof:
        """Prove that an entry is below a signed head."""
        said = Checkpoint.parse(head.text)
        hashes = self._nodes.inclusion(index, said.size)
        if not is_included(line, index, said.size, hashes, said.root):
            raise LogError("GW-LOG-BESIDE", f"entry {index} of {self.folder} is not the one that was logged")
        return Proof(index, hashes, head)

    def consistency(self, old: int, size: int) -> tuple[bytes, ...]:
        """Prove that the log of one size grew into that of another."""
        return self._nodes.consistency(old, size)

    def find(self, wanted: Iterable[bytes]) -> dict[bytes, int]:
        """Look entries up, by reading all of them; the number of the last one of each."""
        sought = set(wanted)
        return {line: number for number, line in enumerate(read(self.folder)) if line in sought}

    def close(self) -> None:
        """Let another writer in."""
        self._nodes.close()
        if self._file is not None:
            self._file.close()
        self._lock.close()

    def _signed(self) -> Head | None:
        note = self.published()
        said = Checkpoint.parse(note.text) if note else None
        return Head(said.size, said.root) if said else None

    def _open(self, number: int) -> IO[bytes]:
        path = self.folder / ENTRIES / f"{number // PER_FILE:06d}.jsonl"
        if self._file is None or self._file.name != str(path):
            if self._file is not None:
                self._file.close()
            is_new = not path.exists()
            self._file = open(path, "ab", buffering=0)  # noqa: SIM115, PTH123 - `close` closes it
            if is_new:
                _fsync_folder(path.parent)
        return self._file


def newest(folder: Path) -> Note | None:
    """Read the newest signed head of a log's folder; raise LogError where it is none, None where nothing lies there."""
    try:
        raw = (folder / NEWEST).read_bytes()
    except FileNotFoundError:
        return None
    try:
        note = Note.parse(raw)
        Checkpoint.parse(note.text)
    except NoteError as error:
        raise LogError(
            "GW-LOG-CHECKPOINT", f"{folder / NEWEST} is no signed head", why=str(error), fix="restore it from a copy"
        ) from None
    return note


def read(folder: Path) -> Iterator[bytes]:
    """Read the entries of a log in their order, without their line feeds; raise LogError where a file is missing."""
    names = sorted(path.name for path in (folder / ENTRIES).iterdir() if _NAME.fullmatch(path.name))
    for number, name in enumerate(names):
        count = 0
        with (folder / ENTRIES / name).open("rb") as file:
            for line in file:
                count += line.endswith(b"\n")
                if line.endswith(b"\n"):
                    yield line[:-1]
        is_whole = count == PER_FILE or (number == len(names) - 1 and count <= PER_FILE)
        if name != f"{number:06d}.jsonl" or not is_whole:
            raise LogError(
                "GW-LOG-GAP", f"the instance log in {folder} has a gap at {ENTRIES}/{name}",
                why=f"{count} entries in file {number}, {PER_FILE} a file are wanted",
                fix="restore the folder from a copy",
            )  # fmt: skip


def _locked(path: Path) -> IO[bytes]:
    file = path.open("ab")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.close()
        raise LogError(
            "GW-LOG-BUSY", f"another process writes the instance log in {path.parent}", fix="it lets go when it ends"
        ) from None
    return file


def _cut(folder: Path) -> Torn | None:
    """Cut a last line that was never written whole."""
    path = max((each for each in (folder / ENTRIES).iterdir() if _NAME.fullmatch(each.name)), default=None)
    if path is None:
        return None
    with path.open("r+b") as file:
        size = file.seek(0, os.SEEK_END)
        start, tail = size, b""
        while start and b"\n" not in tail:
            step = min(start, _CHUNK)
            start -= step
            file.seek(start)
            tail = file.read(step) + tail
        torn = tail[tail.rfind(b"\n") + 1 :]
        if not torn:
            return None
        file.truncate(size - len(torn))
        os.fsync(file.fileno())
    return Torn(len(torn), sha256(torn).hexdigest())


def _batches(lines: Sequence[bytes], first: int) -> Iterator[tuple[int, Sequence[bytes]]]:
    at = 0
    while at < len(lines):
        room = PER_FILE - (first + at) % PER_FILE
        yield first + at, lines[at : at + room]
        at += room


def _write(file: IO[bytes], raw: bytes) -> None:
    while raw:
        raw = raw[file.write(raw) :]
    os.fsync(file.fileno())


def _replace(path: Path, content: bytes) -> None:
    scratch = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    with scratch.open("xb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    scratch.replace(path)
    _fsync_folder(path.parent)


def _fsync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
