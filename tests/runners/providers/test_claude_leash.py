"""The hold on a process that somebody else started."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path

import pytest

from runners.providers.claude_leash import Leash


@pytest.fixture
def wrapper(tmp_path: Path) -> Path:
    path = tmp_path / "it's a wrapper"
    path.write_text('#!/bin/sh\nexec sleep "$@"\n')
    path.chmod(0o755)
    return path


def test_what_was_started_through_it_is_killed(wrapper: Path) -> None:
    with Leash(wrapper) as leash, subprocess.Popen([leash.path, "300"]) as child:
        note = leash.path.parent / "pid"
        while not (note.exists() and note.read_text()):
            time.sleep(0.01)
        leash.kill()
        assert child.wait(5) == -9
        directory = leash.path.parent
    assert not directory.exists()


def test_a_number_that_is_no_longer_our_child_is_left_alone(wrapper: Path) -> None:
    with subprocess.Popen(["sh", "-c", "sleep 300 & echo $!; wait"], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout
        grandchild = int(parent.stdout.readline())
        with Leash(wrapper) as leash:
            (leash.path.parent / "pid").write_text(str(grandchild))
            leash.kill()
            assert Path(f"/proc/{grandchild}").exists()
        subprocess.run(["kill", str(grandchild)], check=True)
        parent.wait(5)


async def test_nothing_started_is_nothing_to_wait_for(wrapper: Path) -> None:
    with Leash(wrapper) as leash:
        leash.kill()
        await leash.gone()
