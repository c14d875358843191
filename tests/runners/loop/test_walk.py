"""Walking and matching."""

from __future__ import annotations

import os
import time

import pytest

from runners.loop import walk as walking
from runners.loop.beneath import Beneath
from runners.loop.errors import ToolFault
from runners.loop.walk import matches, walk


def paths(root, *, deep=True, start=()):
    with Beneath(root) as files:
        folders = walk(files, start, deep=deep, deadline=time.monotonic() + 10)
        return [(folder.path(entry.name), entry.kind) for folder in folders for entry in folder.entries]


@pytest.mark.parametrize(
    ("path", "glob", "yes"),
    [
        ("a.py", "*.py", True),
        ("src/deep/a.py", "*.py", True),
        ("src/a.py", "src/*.py", True),
        ("src/deep/a.py", "src/*.py", False),
        ("src/deep/a.py", "src/**/*.py", True),
        ("src/a.py", "src/**/*.py", True),
        ("a/b/c", "**", True),
        ("a/b/c", "a/**/c", True),
        ("a/b/c", "a/**/d", False),
        ("tests/test_x.py", "**/test_[xy].py", True),
        ("A.PY", "*.py", False),
        ("src/x", "/src/*", True),
    ],
)
def test_globs_match_as_people_write_them(path, glob, yes):
    assert matches(path, glob) is yes


def test_a_glob_of_many_stars_is_cheap():
    started = time.perf_counter()
    assert not matches("/".join("a" * 60), "/".join(["**", "a"] * 12 + ["b"]))
    assert not matches("a" * 200, "*a" * 20 + "b")
    assert time.perf_counter() - started < 2


def test_git_and_evidence_are_not_walked_and_links_not_entered(tmp_path):
    for folder in (".git", ".gatewright/tasks/1", "src/.git", "src/pkg"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "file").touch()
    (tmp_path / ".gatewright/own.toml").touch()
    (tmp_path / "up").symlink_to(tmp_path.parent)
    os.mkfifo(tmp_path / "pipe")
    assert paths(tmp_path) == [
        (".gatewright", "folder"), ("pipe", "other"), ("src", "folder"), ("up", "link"),
        (".gatewright/own.toml", "file"), ("src/pkg", "folder"), ("src/pkg/file", "file"),
    ]  # fmt: skip


def test_names_that_are_no_text_are_shown_as_text(tmp_path):
    os.close(os.open(os.fsencode(tmp_path) + b"/a\xff\nb", os.O_CREAT | os.O_WRONLY))
    assert paths(tmp_path) == [("a\N{REPLACEMENT CHARACTER}\N{REPLACEMENT CHARACTER}b", "file")]


def test_a_tree_without_end_is_cut(tmp_path, monkeypatch):
    for number in range(5):
        (tmp_path / str(number)).touch()
    monkeypatch.setattr(walking, "MAX_ENTRIES", 4)
    with pytest.raises(ToolFault, match="too much to walk"):
        paths(tmp_path)


def test_a_folder_that_went_away_meanwhile_is_passed_over(tmp_path):
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    with Beneath(tmp_path) as files:
        folders = walk(files, (), deep=True, deadline=time.monotonic() + 10)
        next(folders)
        (tmp_path / "a").rmdir()
        assert [folder.parts for folder in folders] == [("b",)]


def test_depth_is_bounded(tmp_path):
    deep = tmp_path
    for _ in range(walking.MAX_DEPTH + 5):
        deep = deep / "d"
        deep.mkdir()
    assert len(paths(tmp_path)) == walking.MAX_DEPTH + 1


def test_starting_where_nothing_is_says_so(tmp_path):
    with pytest.raises(ToolFault, match="no such file or folder"):
        paths(tmp_path, start=("missing",))
