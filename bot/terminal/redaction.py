"""`gatewright audit redact`: delete one payload on purpose, and leave a word of it."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Final

import msgspec

from bot.audit import kinds
from bot.audit.blobs import Blobs, is_commitment
from bot.audit.chain import Draft
from bot.audit.record import Who, data_of, decode
from bot.model.errors import Refused, UsageError
from bot.model.task import Task
from bot.settings import Settings
from bot.settings_file import data_dir, load
from bot.tasks import retention
from bot.tasks.retention import Decision
from bot.terminal.stores import Store, ask

LONGEST: Final = 256  # characters of a reason, which stands in a record


def redact(task: str, target: str, reason: str, config: Path | None = None) -> int:
    """Record that a payload is deleted, and delete it; of a sealed task once the instance log says so."""
    if not is_commitment(target):
        raise UsageError("GW-REDACT-TARGET", f"no commitment: {target[:80]!a}", fix="64 hex digits, as a record names")
    if not 0 < len(reason.strip()) <= LONGEST or not reason.isprintable():
        raise UsageError("GW-REDACT-REASON", "a reason is one line of 1 to 256 characters", fix="--reason TEXT")
    settings = load(config)

    async def question(store: Store) -> str:
        return await Redaction(settings, store).carry_out(task, target, reason.strip())

    said = next((held.answer for held in ask(config, question) if held.answer), "")
    if not said:
        raise UsageError(
            "GW-REDACT-UNKNOWN", f"no journal or file of this machine says that task {task} has that payload",
            fix="run it on the machine that runs control; `gatewright audit show` names commitments",
        )  # fmt: skip
    sys.stdout.write(said + "\n")
    return 0


class Redaction:
    """One payload of one task, in one store."""

    def __init__(self, settings: Settings, store: Store) -> None:
        self._settings = settings
        self._store = store
        self._data = store.data or data_dir(settings)
        self._blobs = Blobs(self._data / "blobs")

    async def carry_out(self, task_id: str, target: str, reason: str) -> str:
        """Do what can be done here, and say it in words; empty where this store does not know the payload."""
        task = await self._store.task(task_id)
        if task is not None and not task.is_sealed:
            return await self._live(task, target, reason)
        kept = retention.read(self._data, task_id)
        if kept is None and task is not None:  # sealed a moment ago, and not delivered yet
            kept = retention.summary(await self._store.lines(task_id), task.origin.repo.path)
        return await self._sealed(kept, target, reason) if kept and target in kept.blobs else ""

    async def _live(self, task: Task, target: str, reason: str) -> str:
        records = [decode(line) for line in await self._store.lines(task.origin.task)]
        if not any(ref.commit == target for record in records for ref in record.refs):
            return ""
        self._may_go(task.origin.task, task.origin.repo.path)
        if target.encode() in msgspec.json.encode(task):
            raise Refused(
                "GW-REDACT-NEEDED", "the task still works with that payload", why="a draft, report or issue in force",
                fix="have it replaced (`revise`), or end the task first",
            )  # fmt: skip
        instance = getattr(data_of(records[0]), "instance", "")
        who = Who(id=f"inst:{instance}", role="operator", type="system")
        async with self._store.shelf.open(task.origin.task) as book:
            await book.write(Draft("blob.redacted", kinds.BlobRedacted(target, reason), who))
        self._blobs.delete(target)
        await self._store.wake()
        return f"deleted; record {book.task.size - 1} of {task.origin.task} says why"

    async def _sealed(self, kept: retention.Kept, target: str, reason: str) -> str:
        self._may_go(kept.task, kept.path)
        if not self._settings.audit.log:
            raise Refused(
                "GW-REDACT-LOG", "nothing can be added to a sealed journal, and there is no instance log to say it in",
                fix="set [audit] log, or keep the payload",
            )  # fmt: skip
        with retention.alone(self._data):
            kept = retention.decided(retention.read(self._data, kept.task) or kept, Decision(reason, (target,)))
            retention.write(self._data, kept)
        await retention.ask(self._store.redis, self._blobs, kept)
        return "decided; it is deleted as soon as the instance log says so"

    def _may_go(self, task: str, path: str) -> None:
        if retention.is_held(self._settings.audit, task, path):
            raise Refused(
                "GW-REDACT-HOLD", f"nothing of {task} may be deleted", why="[audit] legal_hold names it",
                fix="have whoever holds it lift the hold",
            )  # fmt: skip
