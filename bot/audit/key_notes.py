"""Which keys spoke for an instance, and since when one does not: notes that stand in the instance log.

`added` is signed by the new key, and by the one before where there was one; `revoked` by a key that stays, and names
how many entries the log had: what stands in it from there on is not believed by that key alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final

import msgspec

from bot.audit.entries import EntryError, KeyAdded, KeyRevoked, Known, decode
from bot.audit.keys import VKey
from bot.audit.note import Note, NoteError
from bot.audit.order import Signer

DOMAIN: Final = "gatewright/key/v1"
_SIZE: Final = re.compile(r"0|[1-9][0-9]{0,15}")


class KeyNoteError(ValueError):
    """A note about keys that is none, or that nobody who may sign it signed."""


class Ring(msgspec.Struct, frozen=True):
    """The keys of one instance, oldest first; of each revoked one how many entries the log had then."""

    keys: tuple[VKey, ...] = ()
    revoked: Mapping[str, int] = {}

    @property
    def valid(self) -> tuple[VKey, ...]:
        """List the keys that are not revoked."""
        return tuple(key for key in self.keys if str(key) not in self.revoked)

    def plus(self, entry: KeyAdded | KeyRevoked) -> Ring:
        """Take in what an entry says; raise KeyNoteError where it may not say so. Other instances' keys are others'."""
        note = _note(entry.note)
        if isinstance(entry, KeyAdded):
            key = _added(note)
            if self.keys and key.name != self.keys[0].name:
                raise KeyNoteError("the key is another instance's")
            return Ring((*(one for one in self.keys if one != key), key), self.revoked)
        key, size = _revoked(note)
        if key not in self.keys:
            raise KeyNoteError("no key of this instance")
        if not any(note.is_by(one) for one in self.valid if one != key):
            raise KeyNoteError("no key that stays signed the revocation")
        return Ring(self.keys, {**self.revoked, str(key): size})

    def vouched(self, entry: KeyAdded) -> bool:
        """Tell whether a key that was there before signed for a new one."""
        return any(_note(entry.note).is_by(one) for one in self.valid)


def added(new: VKey, signers: Iterable[tuple[VKey, Signer]]) -> KeyAdded:
    """Announce a key, signed by it and by the one that it follows."""
    return KeyAdded(_signed(f"{DOMAIN}\nadded\n{new}\n", signers))


def revoked(key: VKey, log_size: int, by: tuple[VKey, Signer]) -> KeyRevoked:
    """Revoke a key as of a size of the log."""
    return KeyRevoked(_signed(f"{DOMAIN}\nrevoked\n{key}\n{log_size}\n", (by,)))


def ring(lines: Iterable[bytes]) -> Ring:
    """Read the entries about keys, in their order; raise KeyNoteError at the first that does not hold."""
    found = Ring()
    for line in lines:
        try:
            entry: Known = decode(line)
        except EntryError as error:
            raise KeyNoteError(str(error)) from None
        if not isinstance(entry, KeyAdded | KeyRevoked):
            raise KeyNoteError("an entry that is not about keys")
        found = found.plus(entry)
    return found


def _signed(text: str, signers: Iterable[tuple[VKey, Signer]]) -> str:
    notes = [Note.sign(text, key.name, key.public, signer) for key, signer in signers]
    return bytes(Note(text, tuple(one for note in notes for one in note.signatures))).decode()


def _note(text: str) -> Note:
    try:
        return Note.parse(text.encode())
    except NoteError as error:
        raise KeyNoteError(f"no note: {error}") from None


def _added(note: Note) -> VKey:
    lines = note.text.split("\n")
    if len(lines) != 4 or lines[:2] != [DOMAIN, "added"] or lines[3]:
        raise KeyNoteError("not a note that adds a key")
    key = _vkey(lines[2])
    if not note.is_by(key):
        raise KeyNoteError("the key that is added did not sign")
    return key


def _revoked(note: Note) -> tuple[VKey, int]:
    lines = note.text.split("\n")
    if len(lines) != 5 or lines[:2] != [DOMAIN, "revoked"] or lines[4] or not _SIZE.fullmatch(lines[3]):
        raise KeyNoteError("not a note that revokes a key")
    return _vkey(lines[2]), int(lines[3])


def _vkey(text: str) -> VKey:
    try:
        return VKey.parse(text)
    except ValueError as error:
        raise KeyNoteError(f"no verifier key: {error}") from None
