from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.bot.audit.story import Story


@pytest.fixture(scope="session")
def told(tmp_path_factory) -> tuple[Path, Story]:
    """A whole task, told once; tests work on copies."""
    root = tmp_path_factory.mktemp("told")
    return root, Story(root).until_done()


@pytest.fixture
def story(told, tmp_path) -> Story:
    """A copy of the whole task with its complete journal in the work tree, committed nowhere but on the audit ref."""
    root, original = told
    shutil.copytree(root, tmp_path / "story")
    copy = Story.__new__(Story)
    copy.__dict__.update(original.__dict__)
    copy.repo = tmp_path / "story" / "repo"
    copy.blobs = type(original.blobs)(tmp_path / "story" / "blobs")
    copy.documents = dict(original.documents)
    copy.lines = list(original.lines)
    return copy
