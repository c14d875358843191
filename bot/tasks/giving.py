"""Give an order to whichever worker takes it, and see whether its attempt is still alive."""

from __future__ import annotations

from typing import Final

from bot.audit.order import is_ours
from bot.model.errors import Refused
from bot.model.order import Order
from bot.model.state import Step
from bot.model.task import Task
from bot.tasks import days
from bot.tasks.allotment import queue_of
from bot.tasks.book import Book
from bot.tasks.budget import day_of
from bot.tasks.desk import Desk
from bot.tasks.orders import make_order
from bot.tasks.plain import raw
from bot.tasks.signing import checkpoint

ORDER_LIFE_S: Final = 14 * 86_400
SILENCE_MS: Final = 30_000  # as long as a heartbeat lives; between RQ's mark and the first one there is a fork
PATIENCE_MS: Final = 5_000  # between an attempt's start and the first look for its job


async def written(desk: Desk, book: Book, step: Step, number: int) -> Order:
    """Write the order of an attempt on the journal as it stands; raise Refused where a budget is used up."""
    task, now_ms = book.task, desk.clock()
    origin = task.origin
    return make_order(
        task,
        step,
        number=number,
        title=desk.snapshot(task.issue_blob).title,
        home=await desk.home(origin.repo, origin.installation),
        genesis=book.genesis,
        tail=book.tail,
        checkpoint=await _trailer(desk, book),
        settings=desk.settings,
        now_ms=now_ms,
        today=await days.read(desk.redis, day_of(now_ms), now_ms),
    )


async def _trailer(desk: Desk, book: Book) -> str:
    """Have the journal signed as it stands; a sealed one whose key was lost is delivered as it is."""
    try:
        return await checkpoint(desk, book)
    except Refused:
        if not book.task.is_sealed:
            raise
        return ""


async def give(desk: Desk, order: Order, signed: bytes, queue: str) -> None:
    """Lay out a signed order and its fence, then queue it; each that is lost is found missing later."""
    async with desk.redis.pipeline(transaction=True) as pipe:
        pipe.set(f"gw:order:{order.task}:{order.attempt}", signed, ex=ORDER_LIFE_S)
        pipe.set(f"gw:current:{order.task}", str(order.attempt))
        await pipe.execute()
    await desk.jobs.ensure(order.task, order.attempt, order.wall_seconds, queue)


async def is_lost(desk: Desk, holder: Task, number: int, started_ms: int) -> bool:
    """Tell whether nobody works, or ever will, at an attempt that has not ended."""
    task = holder.origin.task
    age = desk.clock() - started_ms
    if age < PATIENCE_MS or await desk.redis.exists(f"gw:alive:{task}:{number}"):
        return False
    order = await desk.redis.get(f"gw:order:{task}:{number}")
    if order is None or not is_ours(raw(order), desk.key.public):
        return True  # gone, or signed by a key that was replaced meanwhile: no worker would take it up
    queue = await queue_of(desk, holder)
    if await desk.jobs.ensure(task, number, desk.settings.budget.phase_minutes * 60.0, queue):
        return False  # the queue had lost it, the worker has not begun: it waits again
    status = await desk.jobs.status(task, number)
    return status == "ended" or (status == "started" and age > SILENCE_MS)
