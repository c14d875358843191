"""What the tests of the command line stand on."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.bot.terminal.machine import Machine, new_machine
from tests.conftest import missing
from tests.flow.answers import sample_files
from tests.simulators.models import ModelServer, Script


@pytest.fixture
def machine() -> Iterator[Machine]:
    """A person at this machine, with nothing set up."""
    with new_machine() as made:
        yield made


@pytest.fixture(scope="session")
def jailed() -> None:
    """What the jail needs on this machine."""
    for program in ("bwrap", "socat", "setpriv"):
        if not shutil.which(program):
            missing(f"{program} (apt-get install bubblewrap socat util-linux)")


@pytest.fixture
async def model() -> AsyncIterator[ModelServer]:
    async with ModelServer(Script()) as server:
        yield server


@pytest.fixture
def repo(machine: Machine, model: ModelServer, jailed: None) -> Path:
    """A repository with an endpoint at hand."""
    machine.settings(
        server={"data_dir": str(machine.folder / "state")},
        endpoints__here={"base_url": f"{model.url}/v1", "api_key": model.key},
        worker={"work_dir": str(machine.folder / "work")},
        profile=dict.fromkeys(("spec", "planning", "coding", "qa", "qa_fixer"), "here:toy"),
    )
    return machine.repository(sample_files())
