"""Every way to a model in a team's own root file system: their programs are ours, the commands are the image's."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from bot import settings
from tests.conftest import missing
from tests.runners.providers.cases import CASES
from tests.runners.providers.contract import unconfined
from tests.runners.providers.stage import open_stage
from tests.runners.providers.test_copilot import CopilotCase
from tests.runners.workspace import image
from tests.simulators.models import Step

LINE = "cat /etc/team >seen; ls /usr/bin/bwrap /usr/share >>seen 2>&1; python3 -c 'print(6 * 7)' >>seen; true"


@pytest.fixture(scope="module")
def root() -> Iterator[Path]:
    place = Path(tempfile.mkdtemp(prefix="gw-image-"))
    yield image.build(place, with_python=True)
    shutil.rmtree(place)


@pytest.fixture
def cache() -> Iterator[Path]:
    """Where the Copilot CLI unpacks itself; the jail's user has to get there."""
    with tempfile.TemporaryDirectory(prefix="gw-copilot-") as name:
        Path(name).chmod(0o711)
        yield Path(name)


@pytest.mark.parametrize("name", ["claude", "codex", "copilot", "gemini", "opencode", "openai"])
async def test_an_agent_works_in_it(
    name: str, root: Path, tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = CASES[name]
    monkeypatch.setattr(CopilotCase, "cache", cache, raising=False)
    if lacks := case.missing() or unconfined():
        missing(lacks)
    steps = Step(tools=(case.command(LINE),)), Step(text="done")
    table = settings.Sandbox(rootfs=str(root))
    async with open_stage(case.provider(steps, tmp_path), case.dialect, case.model, steps, table=table) as stage:
        stage.name = f"openrouter/{case.model}" if name == "opencode" else case.model  # as a route names it
        result = await stage.run()
        seen = (stage.worktree / "seen").read_text().splitlines()
    assert "done" in result.text
    assert (seen[0], seen[-1]) == ("the team's image", "42")
    assert sum("No such file" in line for line in seen) == 2, seen
