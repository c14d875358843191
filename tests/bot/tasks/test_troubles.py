"""A trouble is said when it begins, when it changes, and when it is over."""

from __future__ import annotations

from bot.model.errors import Unavailable
from bot.tasks.troubles import Troubles
from tests.bot.tasks.office import Log


def test_it_is_said_once_until_it_changes_or_ends():
    log = Log()
    troubles = Troubles(log)
    away = Unavailable("GW-X", "it is away", why="refused")
    for _ in range(3):
        troubles.say("w", away)
    troubles.say("w", Unavailable("GW-X", "it is away", why="timeout"))
    troubles.say("other", OSError("full"))
    troubles.over("none")
    troubles.over("w")
    troubles.over("w")
    troubles.say("w", away)
    assert [(name, fields["whose"], fields.get("why", "")) for name, fields in log.lines] == [
        ("log.trouble", "w", "refused"),
        ("log.trouble", "w", "timeout"),
        ("log.trouble", "other", "full"),
        ("log.well", "w", ""),
        ("log.trouble", "w", "refused"),
    ]
