"""Copies of an agent's files: what comes along, and what is named as lost."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from runners.workspace.copies import take


@pytest.fixture
def tree(tmp_path):
    path = tmp_path / "tree"
    (path / "a/b").mkdir(parents=True)
    (path / "a/b/f").write_text("text")
    (path / "run").write_text("#!/bin/sh\n")
    (path / "run").chmod(0o755)
    (path / "link").symlink_to("a/b/f")
    return path


def test_files_keep_content_times_and_whether_they_run(tree, tmp_path):
    os.utime(tree / "run", ns=(5_000_000_001, 7_000_000_002))
    assert take(tree, ["a/b/f", "run", "link"], tmp_path / "to", 100) == []
    assert (tmp_path / "to/a/b/f").read_text() == "text"
    assert (tmp_path / "to/run").stat().st_mtime_ns == 7_000_000_002
    assert [bool((tmp_path / "to" / name).stat().st_mode & 0o100) for name in ("run", "a/b/f")] == [True, False]
    assert str((tmp_path / "to/link").readlink()) == "a/b/f"


def test_what_is_no_file_is_lost(tree, tmp_path):
    os.mkfifo(tree / "fifo")
    (tree / "folder").symlink_to("a")
    names = ["gone", "gone/f", "fifo", "a", "folder/b/f", "run/f"]
    assert take(tree, names, tmp_path / "to", 100) == names
    assert list((tmp_path / "to").iterdir()) == []


def test_what_exceeds_the_limit_is_lost(tree, tmp_path):
    assert take(tree, ["a/b/f", "run"], tmp_path / "to", 4) == ["run"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_an_unreadable_file_of_ours_is_made_readable(tree, tmp_path):
    (tree / "run").chmod(0)
    assert take(tree, ["run"], tmp_path / "to", 100) == []
    assert (tmp_path / "to/run").read_text() == "#!/bin/sh\n"


def test_descriptors_are_given_back(tree, tmp_path):
    before = len(list(Path("/proc/self/fd").iterdir()))
    take(tree, ["a/b/f", "gone/x", "run", "link", "a/b/none"], tmp_path / "to", 4)
    assert len(list(Path("/proc/self/fd").iterdir())) == before
