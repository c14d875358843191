"""What every flow test stands on."""

from __future__ import annotations

import importlib.util
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.conftest import missing
from tests.simulators.github import GitHubSimulator


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that the jail's own user can pass through; pytest's own is private, and made so again at each start."""
    made = Path(tempfile.mkdtemp(prefix="gw-flow-", dir="/var/tmp"))
    made.chmod(0o711)
    yield made
    shutil.rmtree(made)


@pytest.fixture
async def github(test_data: Path) -> AsyncIterator[GitHubSimulator]:
    """A GitHub whose every exchange is held against what GitHub publishes."""
    async with GitHubSimulator() as simulator:
        yield simulator
        assert simulator.contract_faults(test_data) == []


@pytest.fixture
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
