"""A simulated GitHub for each test, held against GitHub's published contract at its end."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from bot.forges import gitlab_transport
from bot.forges.github import GitHub
from bot.forges.github_transport import Pace
from bot.forges.gitlab import GitLab
from bot.model.errors import GatewrightError
from tests.simulators.github import GitHubSimulator
from tests.simulators.gitlab import GitLabSimulator
from tests.simulators.gitlab.people import Person
from tests.simulators.gitlab.world import Project

QUICK = Pace(write_gap=0, backoff=0.01, patience=3.0, request=5.0, visible=(0.01, 0.02))

QUICK_GITLAB = gitlab_transport.Pace(write_gap=0, backoff=0.01, patience=3.0, request=5.0, visible=(0.01, 0.02))


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


@pytest.fixture
def gitlab(test_data: Path) -> Iterator[GitLabSimulator]:
    """Below a sub-path, as where one host serves several things."""
    with GitLabSimulator(root="/forge") as simulator:
        yield simulator
        assert simulator.contract_faults(test_data) == []


@pytest.fixture
async def gitlab_bot(gitlab: GitLabSimulator) -> AsyncIterator[Callable[..., GitLab]]:
    """Make bots with a project access token each, closed at the end."""
    made: list[GitLab] = []

    def make(project: Project, *, pace: gitlab_transport.Pace = QUICK_GITLAB, **token: Any) -> GitLab:
        _, minted = gitlab.access_token(project, **token)
        made.append(GitLab(gitlab.table(token=minted.value), pace=pace))
        return made[-1]

    yield make
    for forge in made:
        await forge.close()


@pytest.fixture
def dev(gitlab: GitLabSimulator) -> Person:
    """A developer of a project in nested groups."""
    project = gitlab.project(
        "pay/core/shop.api", {"README.md": "# Shop\n", "src/a b.txt": b"\x00\xff", "big.bin": b"x" * 1_100_000}
    )
    return gitlab.user("mira", project, "developer")


async def raises(code: str, call: object) -> GatewrightError:
    with pytest.raises(GatewrightError) as caught:
        await call  # type: ignore[misc]
    assert caught.value.code == code
    return caught.value
