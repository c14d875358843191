"""The only code that acts on a state: compare it with the queue and the forge, and do what is missing.

An event calls it, a sweep calls it, and after a crash it is called again; every step is safe to repeat.
"""

from __future__ import annotations

import hashlib
from typing import Final

from bot.audit import kinds
from bot.audit.chain import Draft
from bot.audit.order import sign_order
from bot.audit.record import Outcome
from bot.model.errors import GatewrightError, Refused, Superseded
from bot.model.state import Gate, State, Step
from bot.model.task import Attempt
from bot.tasks import days
from bot.tasks.admit import admit, end, fence
from bot.tasks.allotment import allotted
from bot.tasks.attempts import LOST
from bot.tasks.binding import binding
from bot.tasks.book import Book
from bot.tasks.catching_up import catch_up
from bot.tasks.deciding import AGAIN_MS, decide
from bot.tasks.desk import Desk
from bot.tasks.ending import seal, settle
from bot.tasks.giving import give, is_lost, written
from bot.tasks.holding import note_brakes, rules
from bot.tasks.index import Index
from bot.tasks.lookout import EVERY_MS, look
from bot.tasks.need import Ask, Close, Decide, Exhaust, Merge, Need, Purpose, Seal, Start, Watch, Write
from bot.tasks.needs import CARRIES_OUT, delivers, needs
from bot.tasks.signing import checkpoint, keep_signed
from bot.tasks.writes import Writer

MOST_ROUNDS: Final = 50  # of one call; a task that is not at rest by then is taken up again by the sweep


async def converge(desk: Desk, index: Index, task_id: str) -> None:
    """Bring queue and forge to what the journal says, as far as that is possible now."""
    try:
        async with desk.shelf.open(task_id) as book:
            await _converge(desk, index, book)
            has_ended = book.task.state.is_final
        if has_ended:
            desk.shelf.forget(task_id)
    except Superseded as error:
        desk.shelf.forget(task_id)
        desk.log.warning("converge.superseded", task=task_id, code=error.code)


async def _converge(desk: Desk, index: Index, book: Book) -> None:
    writer = Writer(desk, index, book)
    if not book.task.is_sealed:
        await _go_on(desk, index, book, writer)
    if book.task.is_closed and book.task.unreviewed:
        await index.end_change(book.task.origin.task, book.task.origin.repo)  # it only waits, perhaps for weeks
    if book.task.is_sealed and await settle(desk, index, book):
        return
    await writer.progress()


async def _go_on(desk: Desk, index: Index, book: Book, writer: Writer) -> None:
    before_all = book.tail
    await note_brakes(desk, book)
    for _ in range(MOST_ROUNDS):
        before = book.tail
        await admit(desk, book)
        await keep_signed(desk, book)
        await _look_around(desk, book)
        wanted = needs(book.task, await rules(desk, index, book.task), desk.clock())
        for need in wanted:
            await _meet(desk, book, writer, need)
            if book.tail != before and not isinstance(need, Write):
                break  # the state may have changed: look again before anything else
        if book.tail == before:
            break
    await keep_signed(desk, book)
    if book.tail != before_all:
        await days.note(desk.redis, book.task, desk.clock())


async def _look_around(desk: Desk, book: Book) -> None:
    """See from time to time, while a task waits, whether what it rests on still stands, and what was said unheard."""
    task = book.task
    if (task.running and not delivers(task)) or task.state.is_final:
        return
    if await desk.redis.set(f"gw:looked:{task.origin.task}", "1", nx=True, px=EVERY_MS):
        await look(desk, book)
        await catch_up(desk, book)


async def _meet(desk: Desk, book: Book, writer: Writer, need: Need) -> None:
    if isinstance(need, Start):
        await _start(desk, book, need.step)
    elif isinstance(need, Watch):
        await _watch(desk, book)
    elif isinstance(need, Ask):
        await _ask(desk, book, need)
    elif isinstance(need, Decide):
        await _decide(desk, book, need)
    elif isinstance(need, Merge):
        await _merge(desk, book, writer)
    elif isinstance(need, Exhaust):
        await book.write(Draft("gate", kinds.GateResult("qa_rounds", "exhausted"), desk.service))
    elif isinstance(need, Close):
        await book.write(Draft("task.closed", kinds.TaskClosed(need.state.value, need.reason), desk.service))
    elif isinstance(need, Seal):
        await seal(desk, book)
    else:
        await writer.write(need)


async def _decide(desk: Desk, book: Book, need: Decide) -> None:
    """Rule on a gate, after a look at what it rests on."""
    if not await look(desk, book):
        await decide(desk, book, need.gate, need.moment)


async def _merge(desk: Desk, book: Book, writer: Writer) -> None:
    """Merge what the change gate let pass, ruled on once more at this very moment."""
    write = Write(Purpose.MERGE, book.task.status_rev)
    if write.key in book.task.posted or await look(desk, book):
        return
    key = f"gw:merging:{book.task.origin.task}:{write.key}"
    if not await desk.redis.set(key, "1", nx=True, px=AGAIN_MS):
        return  # the forge refused a moment ago; each try is ruled on and recorded
    if await decide(desk, book, Gate.CHANGE, "execution"):
        await writer.write(write)


async def _may_start(desk: Desk, book: Book, step: Step) -> bool:
    """Look where the work would go, and rule again on the approvals that a step carries out: rights get lost."""
    gates = CARRIES_OUT.get(step, ())
    if step is not Step.ARCHIVE and await look(desk, book):
        return False
    for gate in gates:
        if not await decide(desk, book, gate, "execution"):
            return False
    return True


async def _start(desk: Desk, book: Book, step: Step) -> None:
    """Give an order: journal first, then order and fence, then the queue; each later one is rebuilt if it is lost."""
    if not await _may_start(desk, book, step):
        return
    try:
        queue = await allotted(desk, book.task, step)
        order = await written(desk, book, step, len(book.task.attempts) + 1)
    except Refused as error:
        await _block(desk, book, error)
        return
    signed = sign_order(order, desk.key)
    started = kinds.AttemptStarted(
        attempt=order.attempt,
        step=step.value,
        model=order.model,
        round=order.round,
        order_sha256=hashlib.sha256(signed).hexdigest(),
    )
    await book.write(Draft("attempt.started", started, desk.service))
    await give(desk, order, signed, queue)


async def _watch(desk: Desk, book: Book) -> None:
    """See that a running attempt is alive; end it where its task has ended, was blocked, or its worker is gone."""
    task, attempt = book.task, book.task.running
    if attempt is None:
        return
    if (task.state.is_final and attempt.step is not Step.ARCHIVE) or task.state is State.BLOCKED:
        await _end(desk, book, attempt, "GW-CANCELLED", "cancelled")
    elif await is_lost(desk, task, attempt.number, attempt.started_ms):
        desk.log.warning("attempt.lost", task=task.origin.task, attempt=attempt.number)
        await _end(desk, book, attempt, LOST, "fail")


async def _end(desk: Desk, book: Book, attempt: Attempt, code: str, outcome: Outcome) -> None:
    """Fence an attempt off, take in what it reported until then, so that all it used counts, and end it."""
    await fence(desk, book.task, attempt)
    await admit(desk, book)
    if book.task.running is not None:
        await end(desk, book, attempt, code, outcome=outcome)


async def _block(desk: Desk, book: Book, error: Refused) -> None:
    refs = (desk.store("explanation", str(error).encode()),)
    await book.write(Draft("task.blocked", kinds.TaskBlocked(error.code), desk.service, refs=refs))


async def _ask(desk: Desk, book: Book, need: Ask) -> None:
    bound = binding(book.task, need.gate, desk.settings.server.instance)
    try:
        signed = await checkpoint(desk, book)
    except Refused as error:
        await _block(desk, book, error)
        return
    requested = kinds.ApprovalRequested(
        what=need.gate.value,
        digest=bound.digest(),
        rev=need.rev,
        size=book.task.size,
        root=signed.rpartition(" ")[2],
        source_sha256=bound.source_sha256,
        head=bound.head,
    )
    await book.write(Draft("approval.requested", requested, desk.service))


async def converge_quietly(desk: Desk, index: Index, task_id: str) -> None:
    """Converge one of many tasks: what fails is logged and left to the next sweep, the others go on."""
    try:
        await converge(desk, index, task_id)
    except GatewrightError as error:
        desk.log.warning("converge.failed", task=task_id, code=error.code, what=error.what, why=error.why)
