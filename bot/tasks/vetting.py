"""Which entries may stand in the instance log: whoever can write to Redis can ask, and only what is signed gets in."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

from bot.audit.delegation import Delegation, key_name
from bot.audit.entries import BlobsPruned, EntryError, Known, TaskCheckpoint, TaskOpened, TaskSealed, decode, encode
from bot.audit.key_notes import Ring
from bot.audit.keys import VKey
from bot.audit.note import Checkpoint, Note, NoteError
from bot.audit.statement import Envelope, EnvelopeError
from bot.tasks.desk import Desk
from bot.tasks.papers import signed_at
from bot.tasks.plain import raw
from bot.tasks.retention import may_go

Find = Callable[[bytes], int | None]  # the number of an entry in the log


class Unfit(ValueError):
    """Why an entry may not be logged."""


class Vetting:
    """Holds entries to the keys of one instance, and to what is stored of the task that they are about."""

    def __init__(self, desk: Desk, ring: Ring, find: Find) -> None:
        self._desk = desk
        self._ring = ring
        self._find = find

    async def entry(self, line: bytes) -> Known:
        """Read an entry that may be logged; raise Unfit for any other. Keys are announced by files, never by Redis."""
        try:
            entry = decode(line)
            if isinstance(entry, TaskOpened):
                self._key(entry.delegation.encode(), entry.task)
            elif isinstance(entry, TaskCheckpoint):
                await self._checkpoint(entry)
            elif isinstance(entry, TaskSealed):
                await self._sealed(entry)
            elif isinstance(entry, BlobsPruned):
                if not may_go(self._desk.data, self._desk.settings.audit, entry):
                    raise Unfit("this machine did not decide it, or somebody holds it")
            else:
                raise Unfit("it is about keys, and did not come from this machine's files")
        except (EntryError, NoteError, EnvelopeError) as error:
            raise Unfit(str(error)) from None
        return entry

    async def _checkpoint(self, entry: TaskCheckpoint) -> None:
        note = Note.parse(entry.note.encode())
        key = self._key(await self._stored(entry.task, "key.note"), entry.task)
        if Checkpoint.parse(note.text).origin != key.name or not note.is_by(key):
            raise Unfit("the key of the task did not sign it")

    async def _sealed(self, entry: TaskSealed) -> None:
        seal = await self._stored(entry.task, "seal.dsse.json")
        if hashlib.sha256(seal).hexdigest() != entry.envelope_sha256:
            raise Unfit("it is not about the seal that is stored")
        key = self._key(await self._stored(entry.task, "key.note"), entry.task)
        envelope = Envelope.parse(seal)
        if not envelope.is_by(key) or not any(envelope.is_by(one) for one in self._ring.valid):
            raise Unfit("the seal is not signed by the task's key and by the instance's")

    async def _stored(self, task: str, path: str) -> bytes:
        found = await self._desk.redis.hget(signed_at(task), path)
        if found is None:
            raise Unfit(f"{path} of the task is not stored")
        return raw(found)

    def _key(self, delegation: bytes, task: str) -> VKey:
        """Read a task's key from the note by which the instance vouches for it."""
        note = Note.parse(delegation)
        key = Delegation.parse(note.text).key
        if key.name != key_name(self._desk.settings.server.instance, task):
            raise Unfit("the key is another task's")
        if any(note.is_by(one) for one in self._ring.valid) or self._was_logged(note, delegation, task):
            return key
        raise Unfit("no key of this instance vouches for the task's key")

    def _was_logged(self, note: Note, delegation: bytes, task: str) -> bool:
        """Tell whether a key vouched for the task, and that was logged, before it was revoked."""
        sizes = [self._ring.revoked.get(str(key)) for key in self._ring.keys if note.is_by(key)]
        known = [size for size in sizes if size is not None]
        if not known:
            return False
        place = self._find(encode(TaskOpened(delegation.decode(), task)))
        return place is not None and place < max(known)
