"""What every flow test stands on."""

from __future__ import annotations

import importlib.util
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import pytest

from tests.conftest import missing
from tests.simulators.github import GitHubSimulator


@contextmanager
def open_folder() -> Iterator[Path]:
    """Make a folder that the jail's own user can pass through; pytest's own is private, and made so at each start."""
    made = Path(tempfile.mkdtemp(prefix="gw-flow-", dir="/var/tmp"))
    made.chmod(0o711)
    try:
        yield made
    finally:
        shutil.rmtree(made)


@asynccontextmanager
async def held_to_contract(test_data: Path) -> AsyncIterator[GitHubSimulator]:
    """Run a GitHub whose every exchange is held against what GitHub publishes."""
    async with GitHubSimulator() as simulator:
        yield simulator
        assert simulator.contract_faults(test_data) == []


@pytest.fixture
def folder() -> Iterator[Path]:
    with open_folder() as made:
        yield made


@pytest.fixture
async def github(test_data: Path) -> AsyncIterator[GitHubSimulator]:
    async with held_to_contract(test_data) as simulator:
        yield simulator


@pytest.fixture(scope="session")
def jailed() -> None:
    """What the jail needs on this machine."""
    for program in ("bwrap", "socat", "setpriv"):
        if not shutil.which(program):
            missing(f"{program} (apt-get install bubblewrap socat util-linux)")


@pytest.fixture
def claude(jailed: None) -> None:
    """The genuine Claude runtime."""
    if importlib.util.find_spec("claude_agent_sdk") is None:
        missing("claude-agent-sdk (pip install 'gatewright[claude]')")
