"""What is said to a task whose journal is closed: answered where people ask, and recorded nowhere."""

from __future__ import annotations

from collections.abc import Iterable

from bot.audit import kinds
from bot.audit.chain import Draft
from bot.model.event import Event
from bot.tasks.context import Context
from bot.tasks.desk import Desk
from bot.tasks.wanted import source


def drop(desk: Desk, task: str, event: Event) -> None:
    """Say in the log that something happened which the journal cannot hold any more."""
    desk.log.info("event.sealed", task=task, kind=event.kind.value, delivery=event.delivery)


async def answer(context: Context, drafts: Iterable[Draft]) -> None:
    """Post the answers that records would have carried, each once; the marker in the comment is all that remembers."""
    desk, event = context.desk, context.event
    drop(desk, context.task.origin.task, event)
    forge = desk.forge(event.repo, event.installation or context.task.origin.installation)
    said = source(context.event_id)
    answering, is_review = 0 if said.is_review else said.id, said.is_review
    marker = context.words.marker(context.task, "reply", context.event_id)
    for draft in drafts:
        words = [ref.commit for ref in draft.refs if ref.name == "answer"]
        if not words or not isinstance(draft.data, kinds.Command):
            continue
        repo, number = event.repo, event.number
        if await forge.find_comment(repo, number, marker, answering=answering, on_change=is_review) is None:
            body = desk.blobs.get(words[0]).decode("utf-8", "replace")
            await forge.comment(repo, number, body, answering=answering, on_change=is_review)
