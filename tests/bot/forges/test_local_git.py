"""Comparisons by git's own plumbing, on repositories made for it."""

from __future__ import annotations

from pathlib import Path

import pytest

from bot.forges import local_git
from bot.model.errors import GatewrightError
from tests.bot.terminal.machine import git


@pytest.fixture
def path(tmp_path: Path) -> Path:
    git(tmp_path, "init", "-q", "-b", "main")
    for name in ("one", "two"):
        (tmp_path / f"{name}.txt").write_text(name)
        git(tmp_path, "add", "-A")
        git(tmp_path, "commit", "-q", "-m", name)
    return tmp_path


async def test_a_long_comparison_is_cut_and_says_so(path, monkeypatch):
    monkeypatch.setattr(local_git, "MOST_PATHS", 2)
    for number in range(3):
        (path / f"{number}.txt").write_text("x")
    git(path, "add", "-A")
    git(path, "commit", "-q", "-m", "three")
    place = str(path)
    old, new = [git(path, "rev-parse", name).strip() for name in ("main~1", "main")]
    assert await local_git.paths_between(place, old, new) == (("0.txt", "1.txt"), False)


async def test_a_renamed_file_is_two_paths(path):
    git(path, "mv", "one.txt", "uno.txt")
    git(path, "commit", "-q", "-m", "three")
    old, new = [git(path, "rev-parse", name).strip() for name in ("main~1", "main")]
    assert await local_git.paths_between(str(path), old, new) == (("one.txt", "uno.txt"), True)


async def test_what_is_no_commit_is_an_error_and_no_answer(path):
    tree = git(path, "rev-parse", "main^{tree}").strip()
    for old in (tree, "f" * 40):
        with pytest.raises(GatewrightError) as caught:
            await local_git.is_ancestor(str(path), old, "f" * 40)
        assert caught.value.code == "GW-LOCAL-GIT"
    with pytest.raises(GatewrightError):
        await local_git.resolve(str(path), tree)


async def test_the_last_touch_is_looked_for_on_one_branch(path):
    git(path, "switch", "-q", "-c", "next")
    (path / "one.txt").write_text("changed")
    git(path, "commit", "-q", "-a", "-m", "changed")
    touched = [await local_git.last_touched(str(path), "one.txt", name) for name in ("main", "next")]
    assert touched == [git(path, "rev-parse", name).strip() for name in ("main~1", "next")]
