"""After the end of a task: its seal, who signed it, the end of its key, and its last delivery.

Each step is found done or made good at the next converge, wherever a crash came between: (1) the record; (2) its
checkpoint; (3) the envelope, with its line for the instance log; (4) the task's key goes; (5) the log has proven the
checkpoint, or had its time; (6) the deposit; (7) the journal's days in Redis are counted.
"""

from __future__ import annotations

import hashlib
from typing import Final

from bot.audit import seal as seals
from bot.audit.chain import Draft
from bot.audit.delegation import key_name
from bot.audit.keys import VKey
from bot.audit.statement import envelope
from bot.model.errors import Refused
from bot.tasks import signing
from bot.tasks.anchored import is_anchored
from bot.tasks.book import Book
from bot.tasks.deposit import deposit, leave
from bot.tasks.desk import Desk
from bot.tasks.index import Index
from bot.tasks.papers import PENDING, entry, signed_at
from bot.tasks.retention import retain

PROOF_MS: Final = 60_000  # how long the delivery waits for the log; the evidence is whole without it


async def seal(desk: Desk, book: Book) -> None:
    """Write the last record (1): what the journal comes to."""
    lines = await desk.shelf.journals.lines(book.task.origin.task)
    await book.write(Draft("seal", seals.closing(seals.read(lines)), desk.service))


async def settle(desk: Desk, index: Index, book: Book) -> bool:
    """Do what is left to do for a sealed task, as far as that is possible now; tell whether it is all done."""
    task = book.task
    await index.release(task.origin.task, task.origin.repo, task.origin.issue)
    if not await _is_ready(desk, book):
        return False
    done = await deposit(desk, book)
    if done is None:
        return False
    await retain(desk, task.origin.task, task.origin.repo.path)
    await leave(desk, index, task, done)  # (7)
    return True


async def _is_ready(desk: Desk, book: Book) -> bool:
    """Sign the end (2, 3, 4), and tell whether it may be delivered (5)."""
    task, signed = book.task, signed_at(book.task.origin.task)
    try:
        if not await signing.checkpoint(desk, book):
            return True  # a journal of a version that signed none
    except Refused as error:  # nobody can sign any more: it is delivered as it is, and the verifier names the gap
        desk.log.warning("seal.unsigned", task=task.origin.task, code=error.code, why=error.why)
        return True
    if not await desk.redis.hexists(signed, seals.PATH):
        await _enclose(desk, book)
    await signing.destroy_key(desk, task.origin.task)
    return await is_anchored(desk, task.origin.task, task.size) or desk.clock() - task.changed_ms > PROOF_MS


async def _enclose(desk: Desk, book: Book) -> None:
    """Have the statement signed by both keys, and announce it to the log in the same step."""
    task_id, instance = book.task.origin.task, desk.settings.server.instance
    key = await signing.key_of(desk, book.task)
    if key is None:
        desk.log.error("seal.keyless", task=task_id, why="the task's key is gone: nobody can sign its seal")
        return
    try:
        said = seals.derive(seals.read(await desk.shelf.journals.lines(task_id)))
    except seals.SealError as error:
        desk.log.exception("seal.underivable", task=task_id, why=str(error))
        return
    keys = ((VKey(key_name(instance, task_id), key.public), key), (VKey(instance, desk.key.public), desk.key))
    raw = bytes(envelope(said, keys))
    line = entry("task.sealed", task_id, envelope_sha256=hashlib.sha256(raw).hexdigest(), size=book.task.size)
    async with desk.redis.pipeline(transaction=True) as pipe:
        pipe.hset(signed_at(task_id), seals.PATH, raw)
        pipe.rpush(PENDING, line)
        await pipe.execute()
