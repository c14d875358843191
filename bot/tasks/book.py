"""One task's journal opened for writing: the fold in memory follows every append."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable, Iterable, Iterator

from bot.audit import kinds
from bot.audit.chain import Draft, Link, extend, walk
from bot.audit.record import Record, Who, decode
from bot.model.errors import GatewrightError, Refused
from bot.model.task import Task
from bot.tasks.clock import Watch, now_ms, steady_ms
from bot.tasks.fold import fold
from bot.tasks.journal import Admitted, Journals, Lease
from bot.tasks.marks import Marks


class Book:
    """A journal under its lease: `task` is always the fold of what Redis holds."""

    def __init__(
        self,
        journals: Journals,
        lease: Lease,
        tail: Link,
        task: Task,
        marks: Marks,
        *,
        clock: Callable[[], int],
        watch: Watch,
    ) -> None:
        self._journals = journals
        self._lease = lease
        self._clock = clock
        self._watch = watch
        self.task = task
        self.tail = tail
        self.marks = marks

    @property
    def genesis(self) -> str:
        """Name what record 0 follows."""
        return self.marks.genesis

    async def write(self, *drafts: Draft, admitted: Admitted | None = None) -> Task:
        """Append records in one step; on Superseded nothing was written and this book is void.

        Where the clock was set since the last record, a record in front of them says so. Raise Refused where the last
        record is the seal: nothing follows it, whoever asks.
        """
        if self.task.is_sealed:
            raise Refused("GW-TASK-SEALED", "the task's journal is sealed", why="its last record says what it comes to")
        now_ms = self._clock()
        delta_ms = self._watch.jump(self._lease.task, now_ms, self.task.changed_ms)
        if delta_ms:
            service = Who(id=f"inst:{self.marks.instance}", role="service", type="system")
            drafts = (Draft("clock.jump", kinds.ClockJump(delta_ms), service), *drafts)
        lines, after = extend(self.tail, drafts, task=self._lease.task, now_ms=now_ms)
        records = [decode(line) for line in lines]
        task = fold(records, self.task)  # refuses what the machine does not know
        await self._journals.append(self._lease, self.tail, after, lines, admitted)
        self.tail, self.task = after, task
        for record, line in zip(records, lines, strict=True):
            self.marks.take(record, line)
        return task


class Shelf:
    """Opens books; keeps the folds of journals that were read, so that a wake-up does not read them again."""

    def __init__(
        self, journals: Journals, clock: Callable[[], int] = now_ms, steady: Callable[[], int] = steady_ms
    ) -> None:
        self.journals = journals
        self.clock = clock
        self._watch = Watch(steady)
        self._read: dict[str, tuple[Link, Task, Marks]] = {}

    @contextlib.asynccontextmanager
    async def open(self, task_id: str) -> AsyncIterator[Book]:
        """Open an existing journal under its lease."""
        async with self.journals.lease(task_id) as lease:
            tail, task, marks = await self._load(task_id)
            self._watch.begin(task_id, self.clock())
            book = Book(self.journals, lease, tail, task, marks, clock=self.clock, watch=self._watch)
            try:
                yield book
            finally:
                self._read[task_id] = (book.tail, book.task, marks)

    async def read(self, task_id: str) -> Task:
        """Read a task's state without the right to write."""
        return (await self._load(task_id))[1]

    async def _load(self, task_id: str) -> tuple[Link, Task, Marks]:
        head = await self.journals.head(task_id)
        if head is None:
            raise GatewrightError("GW-TASK-UNKNOWN", f"there is no task {task_id}", fix="see `gatewright tasks list`")
        known = self._read.get(task_id)
        if known and known[0] == head:
            return known
        lines = await self.journals.lines(task_id)
        marks = Marks()
        task = fold(_marked(walk(lines, decode(lines[0]).prev), marks))
        self._read[task_id] = (head, task, marks)
        return self._read[task_id]

    def forget(self, task_id: str) -> None:
        """Drop a fold from memory, because the task has ended."""
        self._read.pop(task_id, None)
        self._watch.forget(task_id)


def _marked(walked: Iterable[tuple[Record, bytes]], marks: Marks) -> Iterator[Record]:
    """Show each line to the tree on its way into the fold."""
    for record, line in walked:
        marks.take(record, line)
        yield record
