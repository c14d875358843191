"""Hear what was said while nobody listened: deliveries get lost, comments stay where they are."""

from __future__ import annotations

from typing import Final

from bot.model.event import Event, EventKind, ForgeKind
from bot.model.task import Task
from bot.tasks.book import Book
from bot.tasks.desk import Desk
from bot.tasks.hearing import hear
from bot.tasks.plain import text
from bot.tasks.wanted import source

OVERLAP_MS: Final = 120_000  # clocks differ, and a delivery may be on its way
KEEP_S: Final = 30 * 86_400


async def catch_up(desk: Desk, book: Book) -> None:
    """Hear the comments of an issue and its change that no delivery has told of.

    What is older than policy.late_minutes when it is found is not carried out but asked for again.
    """
    task = book.task
    if task.origin.repo.forge is ForgeKind.LOCAL:
        return
    key = f"gw:heard:{task.origin.task}"
    since = int(text(await desk.redis.get(key)) or task.opened_ms) - OVERLAP_MS
    now = desk.clock()
    for number, on_change in _pages(task):
        await _listen(desk, book, number, since, on_change=on_change)
    await desk.redis.set(key, str(now), ex=KEEP_S)


def _pages(task: Task) -> list[tuple[int, bool]]:
    pages = [(task.origin.issue, False)]
    return [*pages, (task.pull.number, True)] if task.pull else pages


async def _listen(desk: Desk, book: Book, number: int, since_ms: int, *, on_change: bool) -> None:
    origin = book.task.origin
    forge, me = desk.forge(origin.repo, origin.installation), await desk.me(origin.repo, origin.installation)
    heard = {(one.event_id.partition(":")[0], source(one.event_id).id) for one in book.task.heard}
    for comment in await forge.comments(origin.repo, number, since_ms, on_change=on_change):
        is_known = (str(number), comment.id) in heard or comment.author.id == me.id
        is_fresh = desk.clock() - comment.created_ms < OVERLAP_MS  # its delivery may still come
        if is_known or is_fresh or comment.updated_ms > comment.created_ms:
            continue
        event = Event(
            EventKind.COMMENTED, origin.repo, number, comment.author, f"found-{comment.id}", comment.created_ms,
            on_change=on_change, comment=comment, installation=origin.installation,
        )  # fmt: skip
        await hear(desk, book, event)
