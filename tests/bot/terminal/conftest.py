"""What the tests of the command line stand on."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest

from tests.bot.terminal.machine import Machine, new_machine
from tests.conftest import missing


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
