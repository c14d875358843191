"""Signed notes (C2SP signed-note, tlog-checkpoint, tlog-cosignature, tlog-proof): text with signatures below it.

https://c2sp.org/signed-note and its neighbours; every signature line that is not verified is ignored.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Iterable, Sequence
from typing import Final, Self

import msgspec

from bot.audit.keys import VKey, verify
from bot.audit.order import Signer

COSIGNATURE: Final = b"\x04"
COSIGNED: Final = b"cosignature/v1\n"
PROOF: Final = "c2sp.org/tlog-proof@v1"
LIMIT: Final = 64 * 1024  # bytes of a note that anybody reads
_MARK: Final = "\N{EM DASH} "
_SIZE: Final = re.compile(r"0|[1-9][0-9]{0,15}")
HASH: Final = 32


class NoteError(ValueError):
    """Text that is no note, checkpoint or proof."""


class Signature(msgspec.Struct, frozen=True):
    """One signature line: whose, by which key, and the bytes behind the key id."""

    name: str
    key_id: bytes
    raw: bytes

    def line(self) -> str:
        """Spell the line without its line feed."""
        return f"{_MARK}{self.name} {_encode(self.key_id + self.raw)}"


class Note(msgspec.Struct, frozen=True):
    """A text that ends at a line feed, and the signatures below it."""

    text: str
    signatures: tuple[Signature, ...]

    @classmethod
    def parse(cls, raw: bytes) -> Self:
        """Read a note strictly; raise NoteError where it is none. Nothing is believed yet."""
        if len(raw) > LIMIT:
            raise NoteError("longer than a note may be")
        try:
            whole = raw.decode("utf-8")
        except UnicodeDecodeError:
            raise NoteError("not UTF-8") from None
        if any(ord(char) < 32 and char != "\n" for char in whole):
            raise NoteError("holds a control character")
        text, gap, below = whole.rpartition("\n\n")
        if not gap or not below.endswith("\n"):
            raise NoteError("no signatures below an empty line")
        return cls(text + "\n", tuple(_signature(line) for line in below[:-1].split("\n")))

    @classmethod
    def sign(cls, text: str, name: str, public: bytes, signer: Signer) -> Self:
        """Make a note with one Ed25519 signature."""
        key = VKey(name, public)
        return cls(text, (Signature(name, key.key_id, signer.sign(text.encode())),))

    def __bytes__(self) -> bytes:
        return (self.text + "\n" + "".join(one.line() + "\n" for one in self.signatures)).encode()

    def plus(self, signatures: Iterable[Signature]) -> Note:
        """Add signatures below those that are there."""
        return Note(self.text, (*self.signatures, *signatures))

    def is_by(self, key: VKey) -> bool:
        """Tell whether this very key signed the text."""
        return any(
            one.name == key.name and one.key_id == key.key_id and verify(key.public, self.text.encode(), one.raw)
            for one in self.signatures
        )

    def cosigned_s(self, key: VKey) -> int | None:
        """Tell when a witness cosigned a checkpoint (Unix seconds by its clock); None where it did not."""
        for one in self.signatures:
            if one.name == key.name and one.key_id == witness_id(key) and len(one.raw) == 8 + 64:
                time = int.from_bytes(one.raw[:8], "big")
                if verify(key.public, cosigned_bytes(self.text, time), one.raw[8:]):
                    return time
        return None


class Checkpoint(msgspec.Struct, frozen=True):
    """The head of a log: whose, how many entries, and the root over them."""

    origin: str
    size: int
    root: bytes

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read the text of a note as a checkpoint; raise NoteError for any other text, extension lines included."""
        lines = text.split("\n")
        if len(lines) != 4 or lines[3] or not lines[0] or not _SIZE.fullmatch(lines[1]):
            raise NoteError("not the text of a checkpoint")
        root = decode(lines[2])
        if len(root) != HASH:
            raise NoteError("the root is not 32 bytes")
        return cls(lines[0], int(lines[1]), root)

    def __str__(self) -> str:
        return f"{self.origin}\n{self.size}\n{_encode(self.root)}\n"

    @property
    def trailer(self) -> str:
        """Spell it in one line, as a commit's trailer `Audit-Checkpoint` does."""
        return f"{self.origin} {self.size} {_encode(self.root)}"


class Proof(msgspec.Struct, frozen=True):
    """That an entry is in a log, to be checked offline: its index, sibling hashes, and a signed checkpoint."""

    index: int
    hashes: tuple[bytes, ...]
    checkpoint: Note

    @classmethod
    def parse(cls, raw: bytes) -> Self:
        """Read a tlog-proof; raise NoteError where it is none."""
        head, gap, note = raw.partition(b"\n\n")
        lines = head.decode("utf-8", errors="replace").split("\n")
        if not gap or len(lines) < 2 or lines[0] != PROOF or not lines[1].startswith("index "):
            raise NoteError("not a tlog-proof")
        index = lines[1].removeprefix("index ")
        hashes = tuple(decode(line) for line in lines[2:])
        if not _SIZE.fullmatch(index) or any(len(one) != HASH for one in hashes):
            raise NoteError("not a tlog-proof")
        head_of_log = Note.parse(note)
        Checkpoint.parse(head_of_log.text)
        return cls(int(index), hashes, head_of_log)

    def __bytes__(self) -> bytes:
        head = [PROOF, f"index {self.index}", *(_encode(one) for one in self.hashes), "", ""]
        return "\n".join(head).encode() + bytes(self.checkpoint)


def cosign(checkpoint: str, name: str, public: bytes, signer: Signer, time_s: int) -> Signature:
    """Sign a checkpoint's text as a witness who saw it at a time (Unix seconds)."""
    raw = signer.sign(cosigned_bytes(checkpoint, time_s))
    return Signature(name, witness_id(VKey(name, public)), time_s.to_bytes(8, "big") + raw)


def cosigned_bytes(checkpoint: str, time_s: int) -> bytes:
    """Spell what a witness signs."""
    return COSIGNED + f"time {time_s}\n".encode() + checkpoint.encode()


def witness_id(key: VKey) -> bytes:
    """Name a witness's key in four bytes: cosignatures have a type of their own."""
    return hashlib.sha256(key.name.encode() + b"\n" + COSIGNATURE + key.public).digest()[:4]


def witness_key(text: str) -> VKey:
    """Read a witness's verifier key, as it is spelled for cosignatures (type 4) or as any key; raise ValueError."""
    name, _, rest = text.partition("+")
    key_id, _, encoded = rest.partition("+")
    raw = decode(encoded)
    if raw[:1] != COSIGNATURE:
        return VKey.parse(text)
    key = VKey.parse(str(VKey(name, raw[1:])))  # its own checks of name and length
    if witness_id(key).hex() != key_id:
        raise NoteError("the key id does not belong to this name and key")
    return key


def witness_vkey(key: VKey) -> str:
    """Spell a verifier key as one of cosignatures."""
    return f"{key.name}+{witness_id(key).hex()}+{_encode(COSIGNATURE + key.public)}"


def signatures(lines: Sequence[str]) -> tuple[Signature, ...]:
    """Read signature lines, as a witness answers them; raise NoteError where one is none."""
    return tuple(_signature(line) for line in lines)


def decode(text: str) -> bytes:
    """Read base64 in its one spelling; raise NoteError otherwise."""
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise NoteError("not base64") from None
    if _encode(raw) != text:
        raise NoteError("not base64 in its one spelling")
    return raw


def _encode(raw: bytes) -> str:
    return base64.b64encode(raw).decode("ascii")


def _signature(line: str) -> Signature:
    name, gap, encoded = line.removeprefix(_MARK).partition(" ")
    if not line.startswith(_MARK) or not gap or not name or "+" in name:
        raise NoteError("not a signature line")
    raw = decode(encoded)
    if len(raw) < 5:
        raise NoteError("not a signature line")
    return Signature(name, raw[:4], raw[4:])
