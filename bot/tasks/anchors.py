"""Notes that forges keep: what we wrote there with a signed checkpoint in it, taken down once the forge has it."""

from __future__ import annotations

import base64

from bot.audit import kinds
from bot.audit.chain import Draft
from bot.tasks.book import Book
from bot.tasks.desk import Desk
from bot.tasks.need import SHOWS, Purpose
from bot.tasks.signing import shown


async def anchors(desk: Desk, book: Book, purpose: Purpose, object_id: str, said: str) -> tuple[Draft, ...]:
    """Name the checkpoint that a text shows; none for a text without a note of ours. No anchor asks for another one."""
    found = await shown(desk, book, said)
    if found is None:
        return ()
    root = base64.b64encode(found.root).decode()
    if purpose in SHOWS:
        return (Draft("anchor", kinds.Anchor("comment", found.size, root, object_id), desk.service, "forge"),)
    return (Draft("anchor", kinds.Anchor("pull", found.size, root, object_id), desk.service),)
