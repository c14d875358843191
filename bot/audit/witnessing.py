"""What a log and its witness say to each other (https://c2sp.org/tlog-witness), and what a witness may sign."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterable, Sequence
from enum import IntEnum
from typing import Final, Self

import msgspec

from bot.audit.keys import VKey
from bot.audit.merkle import EMPTY, is_consistent
from bot.audit.note import Checkpoint, Note, NoteError, Signature, decode, signatures

PATH: Final = "/add-checkpoint"
SIZE_TYPE: Final = "text/x.tlog.size"
MOST_HASHES: Final = 63
LIMIT: Final = 64 * 1024  # bytes of a request
_OLD: Final = re.compile(r"old (0|[1-9][0-9]{0,15})")


class Held(msgspec.Struct, frozen=True):
    """The last head that a witness signed, of one log."""

    origin: str
    size: int = 0
    root: bytes = EMPTY


class Status(IntEnum):
    """How a witness answers."""

    COSIGNED = 200
    MALFORMED = 400
    UNSIGNED = 403
    UNKNOWN = 404
    CONFLICT = 409  # its own size is told
    INCONSISTENT = 422


class Submission(msgspec.Struct, frozen=True):
    """A head that a log wants cosigned, and why it goes on from the one that the witness holds."""

    old: int
    proof: tuple[bytes, ...]
    note: Note

    @classmethod
    def parse(cls, raw: bytes) -> Self:
        """Read a request; raise NoteError where it is none."""
        above, gap, note = raw.partition(b"\n\n")
        lines = above.decode("utf-8", errors="replace").split("\n")
        old = _OLD.fullmatch(lines[0])
        if not gap or old is None or len(lines) - 1 > MOST_HASHES or len(raw) > LIMIT:
            raise NoteError("not a request for a cosignature")
        return cls(int(old[1]), tuple(decode(line) for line in lines[1:]), Note.parse(note))

    def __bytes__(self) -> bytes:
        above = [f"old {self.old}", *(base64.b64encode(one).decode() for one in self.proof), "", ""]
        return "\n".join(above).encode() + bytes(self.note)


def judge(asked: Submission, held: Held, log: VKey) -> tuple[Status, Checkpoint | None]:
    """Say whether a witness signs a head, and which; it never signs two that do not follow from each other."""
    try:
        said = Checkpoint.parse(asked.note.text)
    except NoteError:
        return Status.MALFORMED, None
    status = _status(asked, said, held, log)
    return status, said if status is Status.COSIGNED else None


def _status(asked: Submission, said: Checkpoint, held: Held, log: VKey) -> Status:
    if said.origin != held.origin:
        return Status.UNKNOWN
    if not asked.note.is_by(log):
        return Status.UNSIGNED
    if asked.old > said.size:
        return Status.MALFORMED
    if asked.old != held.size or (said.size == held.size and said.root != held.root):
        return Status.CONFLICT
    is_grown = is_consistent(held.size, held.root, said.size, said.root, asked.proof)
    return Status.COSIGNED if is_grown else Status.INCONSISTENT


def cosignatures(answer: str, note: Note, key: VKey) -> tuple[Signature, ...]:
    """Take from an answer what this witness really signed below this note; raise NoteError where it is no answer."""
    lines: Sequence[str] = answer.removesuffix("\n").split("\n")
    return tuple(one for one in signatures(lines) if Note(note.text, (one,)).cosigned_s(key) is not None)


def merged(one: Note, more: Iterable[Signature]) -> Note:
    """Add signatures that are not there yet."""
    return one.plus(each for each in dict.fromkeys(more) if each not in one.signatures)
