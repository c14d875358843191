from __future__ import annotations

from bot.model.event import EventKind
from tests.bot.tasks.forge import ME, MIRA, STRANGER
from tests.bot.tasks.office import Office
from tests.bot.tasks.sealed import lines, proven


async def sealed(office: Office) -> tuple[str, int]:
    """A task that was cancelled with its change open; who speaks there still reaches it."""
    task = await office.at_change_gate()
    await office.says(task, MIRA, "/cancel")
    now = await office.converge(task)
    assert now.is_sealed
    return task, now.pull.number


def answers(office: Office) -> list[str]:
    return [one.body for _, one in office.forge.talk.values() if one.author.id == ME.id and "kind=reply" in one.body]


async def test_who_asks_is_answered_once_and_nothing_is_appended(office: Office):
    task, change = await sealed(office)
    before, said = await lines(office, task), len(answers(office))
    comment = office.forge.says(MIRA, "/status", change)
    for _ in range(2):
        await office.hears(task, office.commented(comment, change, on_change=True))
    assert len(answers(office)) == said + 1
    assert "cancelled" in answers(office)[-1].lower()
    assert await lines(office, task) == before


async def test_who_decides_too_late_is_told(office: Office):
    task, change = await sealed(office)
    before = await lines(office, task)
    await office.says(task, MIRA, "/approve", change, on_change=True)
    assert "GW-COMMAND-STATE" in answers(office)[-1]
    assert await lines(office, task) == before
    assert "event.sealed" in office.log.events()


async def test_talk_that_is_no_command_is_left_alone(office: Office):
    task, change = await sealed(office)
    said = len(answers(office))
    await office.says(task, STRANGER, "thanks!", change, on_change=True)
    assert len(answers(office)) == said


async def test_pushes_labels_and_reviews_that_come_too_late_are_named_in_the_log_and_nowhere_else(office: Office):
    task, change = await sealed(office)
    before = await lines(office, task)
    for kind in (EventKind.CHANGE_PUSHED, EventKind.CHANGE_MERGED, EventKind.CHANGE_CLOSED):
        await office.hears(task, office.event(kind, MIRA, change, on_change=True, head_sha="e" * 40))
    await office.hears(task, office.event(EventKind.LABELED, MIRA, label="gatewright:pause"))
    assert await lines(office, task) == before
    assert office.log.events().count("event.sealed") == 4
    assert await office.redis.exists(f"gw:pushes:{task}") == 0


async def test_the_report_of_an_attempt_that_was_fenced_off_is_never_taken_in(office: Office):
    task = await office.opened()
    await office.says(task, MIRA, "/cancel")
    await office.converge(task)
    before = await lines(office, task)
    await office.redis.xadd(
        f"gw:attempt:{task}:1", {"r": b'{"kind":"attempt.ended","data":{"attempt":1,"step":"spec"}}'}
    )
    await proven(office, task)
    await office.converge(task)
    assert await lines(office, task) == before
