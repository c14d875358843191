"""One task's journal opened for writing: the fold in memory follows every append."""

from __future__ import annotations

import contextlib
import time
from collections.abc import AsyncIterator, Callable

from bot.audit.chain import Draft, Link, extend, walk
from bot.audit.record import decode
from bot.model.errors import GatewrightError
from bot.model.task import Task
from bot.tasks.fold import fold
from bot.tasks.journal import Admitted, Journals, Lease


def now_ms() -> int:
    """Read the wall clock in Unix milliseconds."""
    return time.time_ns() // 1_000_000


class Book:
    """A journal under its lease: `task` is always the fold of what Redis holds."""

    def __init__(
        self,
        journals: Journals,
        lease: Lease,
        genesis: str,
        tail: Link,
        task: Task,
        clock: Callable[[], int],
    ) -> None:
        self._journals = journals
        self._lease = lease
        self._clock = clock
        self.task = task
        self.tail = tail
        self.genesis = genesis

    async def write(self, *drafts: Draft, admitted: Admitted | None = None) -> Task:
        """Append records in one step; on Superseded nothing was written and this book is void."""
        lines, after = extend(self.tail, drafts, task=self._lease.task, now_ms=self._clock())
        task = fold((decode(line) for line in lines), self.task)  # refuses what the machine does not know
        await self._journals.append(self._lease, self.tail, after, lines, admitted)
        self.tail, self.task = after, task
        return task


class Shelf:
    """Opens books; keeps the folds of journals that were read, so that a wake-up does not read them again."""

    def __init__(self, journals: Journals, clock: Callable[[], int] = now_ms) -> None:
        self.journals = journals
        self.clock = clock
        self._read: dict[str, tuple[str, Link, Task]] = {}

    @contextlib.asynccontextmanager
    async def open(self, task_id: str) -> AsyncIterator[Book]:
        """Open an existing journal under its lease."""
        async with self.journals.lease(task_id) as lease:
            genesis, tail, task = await self._load(task_id)
            book = Book(self.journals, lease, genesis, tail, task, self.clock)
            try:
                yield book
            finally:
                self._read[task_id] = (genesis, book.tail, book.task)

    async def read(self, task_id: str) -> Task:
        """Read a task's state without the right to write."""
        return (await self._load(task_id))[2]

    async def _load(self, task_id: str) -> tuple[str, Link, Task]:
        head = await self.journals.head(task_id)
        if head is None:
            raise GatewrightError("GW-TASK-UNKNOWN", f"there is no task {task_id}", fix="see `gatewright tasks list`")
        known = self._read.get(task_id)
        if known and known[1] == head:
            return known
        lines = await self.journals.lines(task_id)
        genesis = decode(lines[0]).prev
        task = fold(record for record, _ in walk(lines, genesis))
        self._read[task_id] = (genesis, head, task)
        return genesis, head, task

    def forget(self, task_id: str) -> None:
        """Drop a fold from memory, because the task has ended."""
        self._read.pop(task_id, None)
