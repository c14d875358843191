"""state = fold(journal): every record kind that moves a task, and how; pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from msgspec.structs import replace

from bot.audit import kinds
from bot.audit.record import Record, data_of
from bot.model.event import Actor, ForgeKind, Repo
from bot.model.state import State
from bot.model.task import Origin, Profile, Pull, Task
from bot.tasks.attempts import ATTEMPTS, heard
from bot.tasks.decisions import DECISIONS
from bot.tasks.machine import Signal
from bot.tasks.moves import block, move, ref
from bot.tasks.rulings import RULINGS
from bot.tasks.surroundings import SURROUNDINGS

CLOSING: Final = {
    State.DONE: Signal.MERGED,
    State.REJECTED: Signal.CLOSED,
    State.CANCELLED: Signal.CANCELLED,
    State.EXPIRED: Signal.EXPIRED,
}


def fold(records: Iterable[Record], task: Task | None = None) -> Task:
    """Apply records in order, on top of `task` where there is one already."""
    for record in records:
        task = _opened(record, data_of(record)) if task is None else _step(task, record)
    if task is None:
        message = "a journal without records has no state"
        raise ValueError(message)
    return task


def _step(task: Task, record: Record) -> Task:
    apply = APPLY.get(record.kind)
    task = heard(task, record)
    if apply is not None:
        task = apply(task, record, data_of(record))
    return replace(task, size=record.seq + 1, changed_ms=record.ts)


def _opened(record: Record, data: kinds.Data) -> Task:
    if not isinstance(data, kinds.TaskOpened):
        message = f"a journal begins with task.opened, not {record.kind}"
        raise ValueError(message)  # noqa: TRY004 - the journal is wrong, not a type
    repo = Repo(ForgeKind(data.forge), data.host, data.repo_id, data.path)
    return Task(
        origin=Origin(
            task=record.task,
            repo=repo,
            issue=data.issue,
            labeller=Actor(data.labeller, ""),
            base_branch=data.base_branch,
            base_commit=data.base_commit,
            policy_sha256=data.policy_sha256,
            installation=data.installation,
            owner=data.owner,
            visibility=data.visibility,
            author=data.author,
        ),
        state=State.RECEIVED,
        profile=Profile(),
        size=1,
        opened_ms=record.ts,
        changed_ms=record.ts,
        base_commit=data.base_commit,
        policy_sha256=data.policy_sha256,
    )


def _intent(task: Task, _: Record, data: kinds.ForgeIntent) -> Task:
    return replace(task, intents=(*task.intents, f"{data.purpose}:{data.rev}"))


def _done(task: Task, record: Record, data: kinds.ForgeDone) -> Task:
    key = f"{data.purpose}:{data.rev}"
    intents = tuple(i for i in task.intents if i != key)
    shown, shown_ms = task.shown, task.shown_ms
    if data.body_sha256:
        gate = data.purpose.removesuffix(".again")
        shown = {**shown, gate: f"{data.object_id}:{data.body_sha256}"}
        shown_ms = {**shown_ms, gate: record.ts}
    posted = {**task.posted, key: data.object_id}
    return replace(task, posted=posted, intents=intents, shown=shown, shown_ms=shown_ms)


def _pull(task: Task, _: Record, data: kinds.Pull) -> Task:
    return replace(task, pull=Pull(data.number, data.head, data.branch, data.draft, data.state))


def _blocked(task: Task, record: Record, data: kinds.TaskBlocked) -> Task:
    return block(task, data.code, ref(record, "explanation"))


def _closed(task: Task, _: Record, data: kinds.TaskClosed) -> Task:
    state = State(data.state)
    task = replace(task, close_reason=data.reason or task.close_reason, is_closed=True)
    return task if task.state is state else move(task, CLOSING[state])


def _sealed(task: Task, _: Record, __: kinds.Seal) -> Task:
    return replace(task, is_sealed=True)


APPLY: Final[Mapping[str, Callable[[Task, Record, Any], Task]]] = {
    **DECISIONS,
    **RULINGS,
    **SURROUNDINGS,
    **ATTEMPTS,
    "forge.intent": _intent,
    "forge.done": _done,
    "pull": _pull,
    "task.blocked": _blocked,
    "task.closed": _closed,
    "seal": _sealed,
}
