"""Checkpoints of journals, signed by each task's own key; no record that is not durable is ever signed for."""

from __future__ import annotations

import re
from typing import Final

from bot.audit import layout
from bot.audit.keys import BoxError, InstanceKey
from bot.audit.note import Checkpoint, Note, NoteError
from bot.model.errors import Refused
from bot.model.task import Task
from bot.tasks.book import Book
from bot.tasks.desk import Desk
from bot.tasks.papers import PENDING, PURPOSE, entry, key_at, signed_at
from bot.tasks.plain import raw

IDLE_MS: Final = 60_000  # that records wait at most for a signature while nothing else asks for one
_SHOWN: Final = re.compile(r"^```\n(?P<text>[^\n]+\n(?P<size>[0-9]{1,16})\n[^\n]+\n\n[^`]+\n)```$", re.MULTILINE)

# Ed25519 makes the same note of the same head, so whoever is second changes nothing and logs nothing twice.
STORE: Final = """
for i = 1, #ARGV, 3 do
  if redis.call('HSETNX', KEYS[1], ARGV[i], ARGV[i + 1]) == 1 then redis.call('RPUSH', KEYS[2], ARGV[i + 2]) end
end
"""


async def key_of(desk: Desk, task: Task) -> InstanceKey | None:
    """Open a task's own key; None once it was destroyed, or where there never was one."""
    wrapped = await desk.redis.get(key_at(task.origin.task))
    if wrapped is None:
        return None
    return InstanceKey.unwrapped(raw(wrapped), desk.key.derive(PURPOSE), task.origin.task.encode())


async def destroy_key(desk: Desk, task_id: str) -> None:
    """Let nobody sign for a task any more."""
    await desk.redis.delete(key_at(task_id))


async def checkpoint(desk: Desk, book: Book) -> str:
    """Sign the journal as it stands, unless it was; answer with the trailer, empty for a journal that nobody signs."""
    book.marks.want()
    await sign_due(desk, book)
    head = book.marks.head()
    return head.trailer if head else ""


async def sign_due(desk: Desk, book: Book) -> None:
    """Sign what is due by now, and what a crash left unsigned; Refused where the task's key is gone."""
    marks, task = book.marks, book.task
    if marks.is_behind(desk.clock(), IDLE_MS):
        marks.want()
    if marks.vkey is None or not marks.due:
        return
    signed = signed_at(task.origin.task)
    there = {raw(path) for path in await desk.redis.hkeys(signed)}
    missing = [one for one in marks.checkpoints() if _path(one.size).encode() not in there]
    if missing:
        key = await _key(desk, task, marks.vkey.public)
        words: list[str | bytes] = []
        for one in missing:
            note = bytes(Note.sign(str(one), marks.vkey.name, key.public, key))
            words += [_path(one.size), note, entry("task.checkpoint", task.origin.task, note=note.decode())]
        await desk.redis.eval(STORE, 2, signed, PENDING, *words)
    marks.done(desk.clock())


async def keep_signed(desk: Desk, book: Book) -> None:
    """Sign what is due; where that fails it is logged, and the next order or gate is refused aloud."""
    try:
        await sign_due(desk, book)
    except Refused as error:
        desk.log.warning("journal.unsigned", task=book.task.origin.task, code=error.code, why=error.why)


async def newest(desk: Desk, book: Book) -> str:
    """Read the newest signed note of a journal, as forges are shown it; empty where there is none."""
    last = book.marks.newest
    return "" if last is None else await _note(desk, book, last.size)


async def shown(desk: Desk, book: Book, body: str) -> Checkpoint | None:
    """Find the note of ours that a text on a forge shows, as the forge gives it back."""
    found = _SHOWN.search(body.replace("\r\n", "\n"))
    if found is None or found["text"] != await _note(desk, book, int(found["size"])):
        return None
    try:
        return Checkpoint.parse(Note.parse(found["text"].encode()).text)
    except NoteError:
        return None


async def _note(desk: Desk, book: Book, size: int) -> str:
    stored = await desk.redis.hget(signed_at(book.task.origin.task), _path(size))
    return raw(stored).decode() if stored is not None else ""


def _path(size: int) -> str:
    return layout.checkpoint(size).removeprefix("audit/")


async def _key(desk: Desk, task: Task, public: bytes) -> InstanceKey:
    """Open the key that record 0 names, or say in words for people that it is gone."""
    why = "Redis has lost it, or the task is sealed"
    try:
        key = await key_of(desk, task)
    except BoxError as error:
        key, why = None, error.why
    if key is not None and key.public == public:
        return key
    raise Refused(
        "GW-SIGN-KEY",
        "the key that signs this task's journal is gone",
        why=why,
        fix="restore Redis, or `reject` the task and begin another one; what was signed stays valid",
    )
