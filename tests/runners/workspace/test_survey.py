"""A walk over a tree: what it names, and that a folder which is swapped for a link leads it nowhere."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

import pytest

from bot.model.errors import GatewrightError
from runners.workspace.survey import look
from tests.attacks.test_paths import swapped

ORDINARY = pytest.mark.skipif(os.geteuid() == 0, reason="root enters everything")


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    path = tmp_path / "tree"
    (path / "a/b").mkdir(parents=True)
    (path / ".git").mkdir()
    (path / "a/b/f").write_text("text")
    (path / "out").symlink_to("/etc")
    os.mkfifo(path / "a/pipe")
    return path


def test_folders_special_files_and_what_is_fresh_are_named(tree: Path) -> None:
    survey = look(tree, 100, 0)
    assert survey.directories == {"", "a", "a/b"}
    assert survey.special == ["a/pipe"]
    assert survey.fresh == {"a/b/f", "out"}
    assert look(tree, 100, 1 << 40).fresh == set()


def test_too_many_entries_are_refused(tree: Path) -> None:
    assert look(tree, 6, 0).deep == []
    with pytest.raises(GatewrightError, match="GW-PATCH-ENTRIES"):
        look(tree, 5, 0)


def test_a_path_that_git_cannot_name_is_too_deep(tree: Path) -> None:
    here = os.open(tree, os.O_RDONLY)
    for _ in range(25):
        os.mkdir("d" * 200, dir_fd=here)
        below = os.open("d" * 200, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(here)
    survey = look(tree, 100, 0)
    (deep,) = survey.deep
    assert len(os.fsencode(tree / deep)) > 4_095
    assert len(os.fsencode((tree / deep).parent)) <= 4_095


@ORDINARY
def test_a_folder_of_ours_that_nobody_may_enter_is_opened_up(tree: Path) -> None:
    (tree / "a/b").chmod(0)
    assert "a/b/f" in look(tree, 100, 0).fresh
    (tree / "a/b").chmod(0o700)


def test_a_swapped_folder_shows_nothing_of_what_it_leads_to(tree: Path, tmp_path: Path) -> None:
    """The careless walk goes by whole paths, and is won over within moments."""
    victim = tmp_path / "victim"
    victim.mkdir()
    for number in range(50):
        (victim / f"secret{number}").write_text("x")
        (tree / f"a/b/g{number}").write_text("x")
    (tree / "link").symlink_to(victim)
    careless, seen = set(), set()
    with swapped(tree / "a/b", tree / "link"):
        for _ in range(400):
            for folder, _, files in os.walk(tree):
                careless |= {name for name in files if folder != str(tree)}
        for _ in range(2_000):
            with suppress(GatewrightError):
                survey = look(tree, 1_000, 0)
                seen |= {path for path in survey.fresh | survey.directories if "secret" in path}
    assert any("secret" in name for name in careless), "the race itself is never won"
    assert seen == set()


def test_descriptors_are_given_back(tree: Path) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    look(tree, 100, 0)
    assert len(list(Path("/proc/self/fd").iterdir())) == before
