from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.bot.audit.signed import Log, SignedStory
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


@pytest.fixture(scope="session")
def sealed_once(tmp_path_factory) -> SignedStory:
    """A signed, merged and sealed task, told once; tests work on copies."""
    return SignedStory(tmp_path_factory.mktemp("sealed")).until_sealed()


@pytest.fixture
def sealed(sealed_once, tmp_path) -> SignedStory:
    """A copy of the sealed task: main is checked out and holds the merge, the audit ref holds the whole journal."""
    shutil.copytree(sealed_once.root, tmp_path / "sealed")
    copy = SignedStory.__new__(SignedStory)
    copy.__dict__.update(sealed_once.__dict__)
    copy.root = tmp_path / "sealed"
    copy.repo = copy.root / "repo"
    copy.blobs = type(sealed_once.blobs)(copy.root / "blobs")
    copy.documents, copy.signed = dict(sealed_once.documents), dict(sealed_once.signed)
    copy.lines, copy.ordered = list(sealed_once.lines), set(sealed_once.ordered)
    copy.log = Log(sealed_once.log.key, sealed_once.log.name, sealed_once.log.witnesses)
    copy.log.lines, copy.log.heads = list(sealed_once.log.lines), dict(sealed_once.log.heads)
    return copy
