"""A second label on an issue with an open task: a reply, not a task."""

from __future__ import annotations

from typing import Final

from bot.model.event import Event
from bot.tasks.desk import Desk

SAME_LABEL_MS: Final = 10_000  # one click on GitHub can send `opened` and `labeled` together


async def answer_repeat(desk: Desk, task_id: str, event: Event) -> None:
    """Say once where the open task stands; a copy of the delivery that opened it says nothing."""
    task = await desk.shelf.read(task_id)
    if event.at_ms <= task.opened_ms + SAME_LABEL_MS:
        return
    forge = desk.forge(event.repo, event.installation)
    words = desk.words(event.repo)
    body = words.opened_already(task)
    marker = words.marker(task, "again", 0)
    if await forge.find_comment(event.repo, event.number, marker) is None:
        await forge.comment(event.repo, event.number, body)
