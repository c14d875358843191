"""The only code that acts on a state: compare it with the queue and the forge, and do what is missing.

An event calls it, a sweep calls it, and after a crash it is called again; every step is safe to repeat.
"""

from __future__ import annotations

import hashlib
from typing import Final

from bot.audit import kinds
from bot.audit.chain import Draft
from bot.audit.order import sign_order
from bot.model.errors import GatewrightError, Superseded
from bot.model.task import Attempt, State, Step
from bot.tasks.admit import admit, end
from bot.tasks.attempts import LOST
from bot.tasks.binding import binding
from bot.tasks.book import Book
from bot.tasks.desk import Desk
from bot.tasks.index import Index
from bot.tasks.needs import Ask, Close, Exhaust, Need, Rules, Start, Watch, Write, needs
from bot.tasks.orders import make_order
from bot.tasks.writes import Writer

MOST_ROUNDS: Final = 50  # of one call; a task that is not at rest by then is taken up again by the sweep
ORDER_LIFE_S: Final = 14 * 86_400
SILENCE_MS: Final = 30_000  # as long as a heartbeat lives; between RQ's mark and the first one there is a fork
PATIENCE_MS: Final = 5_000  # between an attempt's start and the first look for its job


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
    for _ in range(MOST_ROUNDS):
        before = book.tail
        await admit(desk, book)
        wanted = needs(book.task, _rules(desk), desk.clock())
        for need in wanted:
            await _meet(desk, book, writer, need)
            if book.tail != before and not isinstance(need, Write):
                break  # the state may have changed: look again before anything else
        if book.tail == before:
            break
    await writer.progress()
    await _settle(desk, index, book)


def _rules(desk: Desk) -> Rules:
    settings = desk.settings
    return Rules(settings.budget.qa_rounds, settings.policy.gate_days, settings.server.instance)


async def _meet(desk: Desk, book: Book, writer: Writer, need: Need) -> None:
    if isinstance(need, Start):
        await _start(desk, book, need.step)
    elif isinstance(need, Watch):
        await _watch(desk, book)
    elif isinstance(need, Ask):
        await _ask(desk, book, need)
    elif isinstance(need, Exhaust):
        await book.write(Draft("gate", kinds.GateResult("qa_rounds", "exhausted"), desk.service))
    elif isinstance(need, Close):
        await book.write(Draft("task.closed", kinds.TaskClosed(need.state.value, need.reason), desk.service))
    else:
        await writer.write(need)


async def _start(desk: Desk, book: Book, step: Step) -> None:
    """Give an order: journal first, then order and fence, then the queue; each later one is rebuilt if it is lost."""
    task = book.task
    origin = task.origin
    order = make_order(
        task,
        step,
        number=len(task.attempts) + 1,
        title=desk.snapshot(task.issue_blob).title,
        home=await desk.home(origin.repo, origin.installation),
        genesis=book.genesis,
        tail=book.tail,
        settings=desk.settings,
        now_ms=desk.clock(),
    )
    signed = sign_order(order, desk.key)
    started = kinds.AttemptStarted(
        attempt=order.attempt,
        step=step.value,
        model=order.model,
        round=order.round,
        order_sha256=hashlib.sha256(signed).hexdigest(),
    )
    await book.write(Draft("attempt.started", started, desk.service))
    async with desk.redis.pipeline(transaction=True) as pipe:
        pipe.set(f"gw:order:{order.task}:{order.attempt}", signed, ex=ORDER_LIFE_S)
        pipe.set(f"gw:current:{order.task}", str(order.attempt))
        await pipe.execute()
    await desk.jobs.ensure(order.task, order.attempt, order.wall_seconds)


async def _watch(desk: Desk, book: Book) -> None:
    """See that a running attempt is alive; end it where its task has ended, was blocked, or its worker is gone."""
    task, attempt = book.task, book.task.running
    if attempt is None:
        return
    if (task.state.is_final and attempt.step is not Step.ARCHIVE) or task.state is State.BLOCKED:
        await end(desk, book, attempt, "GW-CANCELLED", outcome="cancelled")
    elif await _is_lost(desk, task.origin.task, attempt):
        desk.log.warning("attempt.lost", task=task.origin.task, attempt=attempt.number)
        await end(desk, book, attempt, LOST)


async def _is_lost(desk: Desk, task: str, attempt: Attempt) -> bool:
    age = desk.clock() - attempt.started_ms
    if age < PATIENCE_MS or await desk.redis.exists(f"gw:alive:{task}:{attempt.number}"):
        return False
    if not await desk.redis.exists(f"gw:order:{task}:{attempt.number}"):
        return True
    if await desk.jobs.ensure(task, attempt.number, desk.settings.budget.phase_minutes * 60.0):
        return False  # the queue had lost it, the worker has not begun: it waits again
    status = await desk.jobs.status(task, attempt.number)
    return status == "ended" or (status == "started" and age > SILENCE_MS)


async def _ask(desk: Desk, book: Book, need: Ask) -> None:
    bound = binding(book.task, need.gate, desk.settings.server.instance)
    requested = kinds.ApprovalRequested(
        what=need.gate.value,
        digest=bound.digest(),
        rev=need.rev,
        size=book.task.size,
        source_sha256=bound.source_sha256,
        head=bound.head,
    )
    await book.write(Draft("approval.requested", requested, desk.service))


async def _settle(desk: Desk, index: Index, book: Book) -> None:
    """Free the issue once an ended task is at rest."""
    task = book.task
    if task.state.is_final and not needs(task, _rules(desk), desk.clock()):
        await index.release(task.origin.task, task.origin.repo, task.origin.issue)


async def converge_quietly(desk: Desk, index: Index, task_id: str) -> None:
    """Converge one of many tasks: what fails is logged and left to the next sweep, the others go on."""
    try:
        await converge(desk, index, task_id)
    except GatewrightError as error:
        desk.log.warning("converge.failed", task=task_id, code=error.code, what=error.what, why=error.why)
