from __future__ import annotations

from bot.tasks.repeats import SAME_LABEL_MS, answer_repeat
from tests.bot.tasks.office import Office


async def test_the_delivery_that_opened_a_task_is_no_repeat(office: Office):
    task = await office.opened()
    await answer_repeat(office.desk, task, office.labelled())
    assert office.forge.said("kind=again") == []


async def test_a_label_that_is_set_again_is_answered_once_with_where_the_task_stands(office: Office):
    task = await office.at_spec_gate()
    office.ahead_ms = SAME_LABEL_MS + 1_000
    for _ in range(3):
        await answer_repeat(office.desk, task, office.labelled())
    assert [task in comment.body for comment in office.forge.said("kind=again")] == [True]
