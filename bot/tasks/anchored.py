"""When a sealed task has what it gets from outside: the leader says so, and the last delivery waits for it a while."""

from __future__ import annotations

from typing import Final

from bot.tasks.desk import Desk
from bot.tasks.plain import text

DONE_S: Final = 14 * 86_400  # that the word is kept


def done_at(task: str) -> str:
    """Name where the leader says it: the size of the journal that the seal ends."""
    return f"gw:log:done:{task}"


async def is_anchored(desk: Desk, task: str, size: int) -> bool:
    """Tell whether a sealed task has proof, cosignatures and time stamp, or nobody is asked any more."""
    return not desk.settings.audit.log or text(await desk.redis.get(done_at(task))) == str(size)
