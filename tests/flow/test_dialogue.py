"""Everything people can say, on the wire: what acts, what is refused with words, and what is nobody's command."""

from __future__ import annotations

import re
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bot.model.task import State
from tests.flow import brain
from tests.flow.house import House
from tests.flow.talk import Talk, chat_tables
from tests.simulators.github import GitHubSimulator
from tests.simulators.models import ModelServer


@pytest.fixture
async def talk(github: GitHubSimulator, folder: Path, jailed: None) -> AsyncIterator[Talk]:
    talk = Talk(github, brain.PROJECT)
    github.install(talk.repo)
    async with ModelServer(brain.script()) as models, House(folder, chat_tables(github, models)) as house:
        talk.enter(house)
        yield talk


async def test_probe(talk: Talk):
    t0 = time.time()
    issue = talk.asks("Greet louder")
    await talk.gate(issue, "spec")
    print("spec", time.time() - t0)
    talk.mira.comments(issue, "/approve")
    await talk.gate(issue, "plan")
    print("plan", time.time() - t0)
    talk.mira.comments(issue, "/approve")
    task = await talk.opened(issue)
    print("opened", time.time() - t0)
    talk.mira.merges(task.pull.number)
    await talk.at_rest(issue)
    print("rest", time.time() - t0)
    for issue in talk.repo.issues.values():
        for c in issue.comments:
            print("=====", issue.number, c.user.login, c.body[:300])
