"""A simulated GitHub for each test, held against GitHub's published contract at its end."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from bot.forges.github import GitHub
from bot.forges.github_transport import Pace
from tests.simulators.github import GitHubSimulator

QUICK = Pace(write_gap=0, backoff=0.01, patience=3.0, request=5.0, visible=(0.01, 0.02))


@pytest.fixture
def github(test_data: Path) -> Iterator[GitHubSimulator]:
    with GitHubSimulator() as simulator:
        yield simulator
        assert simulator.contract_faults(test_data) == []


@pytest.fixture
async def bot(github: GitHubSimulator) -> AsyncIterator[Callable[..., GitHub]]:
    """Make bots on the simulated GitHub, closed at the end: `bot()` is the App, `bot(token=...)` a token."""
    made: list[GitHub] = []

    def make(*, token: str = "", pace: Pace = QUICK, **more: Any) -> GitHub:
        made.append(GitHub(github.table(token=token), pace=pace, **more))
        return made[-1]

    yield make
    for forge in made:
        await forge.close()
