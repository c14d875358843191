"""What stands in the instance log: one canonical JSON object a line, and nothing that a task's folder does not hold."""

from __future__ import annotations

from typing import Annotated, Final

import msgspec

from bot.audit.kinds import Count, Sha, Short

LIMIT: Final = 64 * 1024  # bytes of a line
TaskId = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9-]{1,64}\Z")]


class Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag_field="kind"):
    """Base of all kinds."""


class TaskOpened(Entry, frozen=True, tag="task.opened"):
    """A task has a key: the text of its `key.note`."""

    delegation: str
    task: TaskId


class TaskCheckpoint(Entry, frozen=True, tag="task.checkpoint"):
    """A task's journal stands here: the text of its note."""

    note: str
    task: TaskId


class TaskSealed(Entry, frozen=True, tag="task.sealed"):
    """A task is over: the digest of its `seal.dsse.json`, and how many records its journal has."""

    envelope_sha256: Sha
    size: Count
    task: TaskId


class BlobsPruned(Entry, frozen=True, tag="blobs.pruned"):
    """Payloads of a sealed task are deleted on purpose: their commitments, and why."""

    reason: Short
    targets: tuple[Sha, ...]
    task: TaskId


class KeyAdded(Entry, frozen=True, tag="key.added"):
    """A key speaks for the instance from here on: a note (bot/audit/key_notes.py)."""

    note: str


class KeyRevoked(Entry, frozen=True, tag="key.revoked"):
    """A key does not any more: a note (bot/audit/key_notes.py)."""

    note: str


Known = TaskOpened | TaskCheckpoint | TaskSealed | BlobsPruned | KeyAdded | KeyRevoked
_decode: Final = msgspec.json.Decoder(Known).decode
_encode: Final = msgspec.json.Encoder(order="sorted").encode


class EntryError(ValueError):
    """A line that is no entry of an instance log."""


def encode(entry: Known) -> bytes:
    """Spell an entry as its line without the line feed."""
    return _encode(entry)


def decode(line: bytes) -> Known:
    """Read a line; raise EntryError unless these bytes are the only spelling of an entry."""
    if len(line) > LIMIT:
        raise EntryError("longer than an entry may be")
    try:
        entry: Known = _decode(line)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise EntryError(f"no entry of an instance log: {error}") from None
    if _encode(entry) != line:
        raise EntryError("not in canonical form")
    return entry
