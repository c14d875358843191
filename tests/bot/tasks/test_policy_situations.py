"""Each situation ends as policy says, and the reason is one that people can read."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.bot.tasks.office import Office
from tests.bot.tasks.policy_situations import SITUATIONS, Situation
from tests.bot.tasks.scene import Scene
from tests.independent import let_pass, oracle


def test_there_are_enough_of_them() -> None:
    assert len(SITUATIONS) >= 60
    assert len({one.name for one in SITUATIONS}) == len(SITUATIONS)


@pytest.mark.parametrize("one", SITUATIONS, ids=lambda one: one.name)
async def test_a_situation(office: Office, one: Situation, tmp_path: Path) -> None:
    scene = Scene(office, one.gate)
    await scene.begin(one.policy, one.before, one.forge)
    for act in one.acts:
        await act(scene)
    assert await scene.passed() is one.passes, (await scene.reasons(), (await scene.task()).state)
    if one.why:
        assert one.why in await scene.reasons()
    journal = [json.loads(line) for line in await office.desk.shelf.journals.lines(scene.id)]
    assert not oracle(journal)
    if not one.passes:
        assert one.gate.value not in let_pass(journal)
