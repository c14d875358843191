"""Take what an attempt reports into the journal: only the present attempt, only kinds a worker may report."""

from __future__ import annotations

from typing import Any, Final, Literal

import msgspec

from bot.audit import kinds
from bot.audit.chain import Draft
from bot.audit.record import Outcome, RecordError, Ref, Who, decode
from bot.model.errors import Refused
from bot.model.state import Step
from bot.model.task import Attempt, Task
from bot.tasks.book import Book
from bot.tasks.desk import Desk
from bot.tasks.journal import Admitted
from bot.tasks.plain import raw, text
from bot.tasks.unanswered import unanswered

BATCH: Final = 200
REPORTED: Final = ("sandbox", "fallback")  # rules whose outcome a worker sees; all others are control's to decide
MOST_RECORDS: Final = 20_000  # of one task; beyond that a person has to look
ONLY_IN: Final = {  # what moves a task comes from the step that is there for it
    "spec.set": frozenset({Step.SPEC}),
    "plan.set": frozenset({Step.PLANNING}),
    "qa.verdict": frozenset({Step.QA}),
    "progress": frozenset({Step.CODING, Step.QA_FIXER}),
    "commit.made": frozenset({Step.CODING, Step.QA_FIXER, Step.PUBLISH}),
    "scope.found": frozenset({Step.CODING, Step.QA_FIXER, Step.QA}),
    "work.held": frozenset({Step.CODING, Step.QA_FIXER, Step.QA}),
}


class Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One report of a worker, as its stream holds it."""

    kind: str
    data: dict[str, Any]
    outcome: Outcome = "ok"
    basis: Literal["observed", "claimed"] = "observed"  # what a forge said, or a key signed, is not a worker's to say
    refs: tuple[Ref, ...] = ()
    ts: int = 0


class Inadmissible(Exception):
    """An entry that a worker may not report."""


async def admit(desk: Desk, book: Book) -> bool:
    """Chain what the running attempt has reported since; tell whether there was anything."""
    attempt = book.task.running
    if attempt is None:
        return False
    stream = f"gw:attempt:{book.task.origin.task}:{attempt.number}"
    after = await desk.shelf.journals.admitted(book.task.origin.task, attempt.number)
    taken = False
    while entries := await _entries(desk, stream, after):
        after = entries[-1][0]
        try:
            drafts = [_draft(book.task, attempt, entry) for _, entry in entries]
            await book.write(*drafts, admitted=Admitted(attempt.number, after))
        except (Inadmissible, RecordError, Refused, msgspec.MsgspecError) as error:
            desk.log.warning("attempt.inadmissible", task=book.task.origin.task, attempt=attempt.number, why=str(error))
            await end(desk, book, attempt, "GW-ATTEMPT-INVALID", outcome="denied")
            return True
        taken = True
        if book.task.running is None:
            break
    if taken and book.task.size > MOST_RECORDS and not book.task.state.is_final:
        await book.write(Draft("task.blocked", kinds.TaskBlocked("GW-JOURNAL-LIMIT"), desk.service))
    return taken


async def _entries(desk: Desk, stream: str, after: str) -> list[tuple[str, bytes]]:
    found: Any = await desk.redis.xrange(stream, min=f"({after}", count=BATCH)
    return [(text(stream_id), raw(fields.get(b"r", b""))) for stream_id, fields in found]


async def fence(desk: Desk, task: Task, attempt: Attempt) -> None:
    """Tell a worker to stop, and take no report of an attempt any more."""
    await desk.redis.set(f"gw:stop:{task.origin.task}:{attempt.number}", "1", ex=3_600)
    await desk.redis.delete(f"gw:current:{task.origin.task}")


async def end(desk: Desk, book: Book, attempt: Attempt, code: str, *, outcome: Outcome = "fail") -> None:
    """End an attempt in its worker's stead and fence it off; calls that it left open get their results."""
    await fence(desk, book.task, attempt)
    lines = await desk.shelf.journals.lines(book.task.origin.task)
    results = unanswered(map(decode, lines), attempt.number, desk.service)
    ended = kinds.AttemptEnded(attempt=attempt.number, step=attempt.step.value, code=code)
    await book.write(*results, Draft("attempt.ended", ended, desk.service, outcome=outcome))


def _draft(task: Task, attempt: Attempt, raw: bytes) -> Draft:
    entry = msgspec.json.decode(raw, type=Entry)
    if entry.kind not in kinds.WORKER_KINDS:
        raise Inadmissible(f"a worker may not report {entry.kind}")
    data = msgspec.convert(entry.data, kinds.KINDS[entry.kind])
    reported = getattr(data, "attempt", attempt.number)
    if reported != attempt.number:
        raise Inadmissible(f"attempt {attempt.number} reports for attempt {reported}")
    if isinstance(data, kinds.GateResult) and data.rule not in REPORTED:
        raise Inadmissible(f"a worker may not decide the rule {data.rule}")
    _check_step(attempt, entry.kind, data)
    _check_draft(task, data)
    _check_ref(task.origin.task, data)
    role = "qa" if attempt.step is Step.QA else "author"
    who = msgspec.convert({"id": f"agent:{attempt.model or 'runner'}", "role": role, "type": "agent"}, Who)
    return Draft(entry.kind, data, who, entry.basis, entry.outcome, entry.refs)


def _check_step(attempt: Attempt, kind: str, data: kinds.Data) -> None:
    """Hold a worker to the step that was ordered: one that codes can neither write a spec nor pass a verdict."""
    steps = ONLY_IN.get(kind)
    if steps is not None and attempt.step not in steps:
        raise Inadmissible(f"{kind} is no business of {attempt.step}")
    if isinstance(data, kinds.AttemptEnded) and data.step != attempt.step:
        raise Inadmissible(f"{attempt.step} reports the end of {data.step[:32]}")


def _check_draft(task: Task, data: kinds.Data) -> None:
    """Hold drafts to the next revision number, and to the model as their author."""
    if not isinstance(data, kinds.SpecSet | kinds.PlanSet):
        return
    present = task.spec if isinstance(data, kinds.SpecSet) else task.plan
    expected = present.rev + 1 if present else 1
    if data.rev != expected or data.source != "model":
        raise Inadmissible(f"this must be draft {expected} by the model")


def _check_ref(task: str, data: kinds.Data) -> None:
    """Hold pushes to the refs of this task: a change is opened from the branch that is named here."""
    if not isinstance(data, kinds.Pushed) or data.ref.startswith(f"refs/heads/gatewright/{task}-"):
        return
    if data.ref not in (f"refs/gatewright/audit/{task}", f"refs/heads/gatewright-audit/{task}"):
        raise Inadmissible(f"{data.ref[:64]} is no ref of {task}")
