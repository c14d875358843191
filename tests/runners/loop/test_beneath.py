"""Files below a hostile worktree: nothing is reached through links, nothing outside is touched."""

from __future__ import annotations

import ctypes
import os
import socket
import stat
import threading
from pathlib import Path

import pytest

from runners.loop.beneath import MAX_FILE, Beneath
from runners.loop.errors import ToolFault


@pytest.fixture
def tree(tmp_path):
    root = tmp_path / "worktree"
    root.mkdir()
    (tmp_path / "secret").write_text("outside")
    return root


@pytest.fixture
def files(tree):
    with Beneath(tree) as beneath:
        yield beneath


@pytest.mark.parametrize("path", ["a/b.txt", "./a//b.txt", "/workspace/a/b.txt", "/workspace/./a/b.txt"])
def test_a_path_may_be_relative_or_as_the_agent_sees_it(files, path):
    assert files.parts(path) == ("a", "b.txt")


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("../secret", "`..` is not allowed"),
        ("a/../b", "`..` is not allowed"),
        ("/workspace/../secret", "`..` is not allowed"),
        ("/etc/passwd", "outside /workspace"),
        ("/workspace2/a", "outside /workspace"),
        ("a\0b", "not a valid path"),
        ("\ud800", "not a valid path"),
        (".gatewright/tasks/1/audit/0000.jsonl", "evidence"),
        (".Gatewright/Tasks", "evidence"),
    ],
)
def test_paths_out_of_the_worktree_are_refused_as_text(files, path, said):
    with pytest.raises(ToolFault, match=said):
        files.read(path)
    with pytest.raises(ToolFault, match=said):
        files.write(path, b"x")


def test_no_link_is_followed_neither_at_the_end_nor_on_the_way(files, tree, tmp_path):
    (tree / "link").symlink_to(tmp_path / "secret")
    (tree / "up").symlink_to(tmp_path)
    (tree / "loop").symlink_to("loop")
    (tree / "inner").write_text("x")
    (tree / "near").symlink_to("inner")
    for path in ("link", "up/secret", "loop", "near", "up"):
        with pytest.raises(ToolFault, match="symbolic link"):
            files.read(path)
        with pytest.raises(ToolFault, match="symbolic link"):
            files.write(path, b"changed")
    with pytest.raises(ToolFault, match="symbolic link"):
        files.write("up/new/file", b"x")
    assert (tmp_path / "secret").read_text() == "outside"
    assert not (tmp_path / "new").exists()


def test_a_fifo_a_socket_and_a_folder_neither_hold_nor_answer(files, tree, monkeypatch):
    os.mkfifo(tree / "fifo")
    (tree / "folder").mkdir()
    with socket.socket(socket.AF_UNIX) as unix:
        monkeypatch.chdir(tree)  # a unix socket's path is short
        unix.bind("socket")
    for path, said in (("fifo", "not a regular file"), ("socket", "not a regular file"), ("folder", "a folder")):
        with pytest.raises(ToolFault, match=said):
            files.read(path)
        with pytest.raises(ToolFault, match=said):
            files.write(path, b"x")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a device")
def test_a_device_is_not_read(files, tree):
    try:
        os.mknod(tree / "zero", stat.S_IFCHR | 0o666, os.makedev(1, 5))
    except PermissionError:
        pytest.skip("no right to make devices here")
    with pytest.raises(ToolFault):
        files.read("zero")


@pytest.mark.parametrize("path", [".git", ".git/config", ".GIT/hooks/pre-push", "sub/.git/config"])
def test_gits_own_files_are_not_written(files, path):
    with pytest.raises(ToolFault, match="git's own files"):
        files.write(path, b"x")


def test_a_write_replaces_the_file_and_keeps_its_mode_and_other_names(files, tree, tmp_path):
    script = tree / "run.sh"
    script.write_text("old")
    script.chmod(0o750)
    os.link(script, tmp_path / "elsewhere")
    assert files.write("run.sh", b"new") is False
    assert script.read_text() == "new"
    assert stat.S_IMODE(script.stat().st_mode) == 0o750
    assert (tmp_path / "elsewhere").read_text() == "old"


def test_a_setuid_bit_does_not_survive_a_write(files, tree):
    (tree / "tool").write_text("old")
    (tree / "tool").chmod(0o4755)
    files.write("tool", b"new")
    assert stat.S_IMODE((tree / "tool").stat().st_mode) == 0o755


def test_a_new_file_makes_its_folders(files, tree):
    assert files.write("a/b/c.txt", b"hello") is True
    assert (tree / "a/b/c.txt").read_bytes() == b"hello"
    assert stat.S_IMODE((tree / "a/b/c.txt").stat().st_mode) == 0o644


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_as_root_what_is_made_belongs_to_the_owner_of_the_worktree(tree):
    os.chown(tree, 64_001, 64_002)
    with Beneath(tree) as files:
        files.write("a/b.txt", b"x")
    for path in (tree / "a", tree / "a/b.txt"):
        assert (path.stat().st_uid, path.stat().st_gid) == (64_001, 64_002)


@pytest.mark.parametrize("path", ["", ".", "/workspace", "/workspace/"])
def test_the_worktree_itself_is_a_folder(files, path):
    with pytest.raises(ToolFault, match="is a folder"):
        files.read(path)
    with pytest.raises(ToolFault, match="is a folder"):
        files.write(path, b"x")
    assert not files.is_file(files.parts(path))


def test_is_file_counts_regular_files_only(files, tree):
    (tree / "file").touch()
    (tree / "link").symlink_to("file")
    assert [files.is_file((name,)) for name in ("file", "link", "missing")] == [True, False, False]


def test_a_failed_write_leaves_nothing_behind(files, tree):
    (tree / "folder").mkdir()
    with pytest.raises(ToolFault):
        files.write("folder", b"x")
    for path in ("n" * 300, "n" * 300 + "/file"):
        with pytest.raises(ToolFault, match="File name too long"):
            files.write(path, b"x")
    with pytest.raises(ToolFault, match="may write"):
        files.write("big", b"x" * (MAX_FILE + 1))
    assert [entry.name for entry in tree.iterdir()] == ["folder"]


def test_reading_is_bounded(files, tree):
    (tree / "big").write_bytes(b"x" * 101)
    with pytest.raises(ToolFault, match="larger than 100 bytes"):
        files.read("big", limit=100)
    assert len(files.read("big", limit=101)) == 101


def test_a_missing_file_names_what_is_near(files, tree):
    (tree / "settings.py").touch()
    with pytest.raises(ToolFault, match=r"no such file or folder\. Beside it: settings\.py"):
        files.read("setings.py")


def test_a_file_on_the_way_is_no_folder(files, tree):
    (tree / "file").touch()
    with pytest.raises(ToolFault, match="a file, not a folder"):
        files.read("file/below")


def test_a_closed_worktree_reads_nothing(tree):
    with Beneath(tree) as files:
        pass
    with pytest.raises(OSError, match="Bad file descriptor"):
        files.read("anything")


def test_swapping_a_folder_for_a_link_under_our_hands_never_lets_us_out(files, tree, tmp_path):
    """A program in the worktree wins no race: each component is opened from the one before, never by path."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "file").write_text("outside")
    inside = tree / "folder"
    inside.mkdir()
    (inside / "file").write_text("inside")
    link = tree / "link"
    link.symlink_to(outside)
    stop = threading.Event()

    def swap() -> None:
        while not stop.is_set():
            _exchange(inside, link)

    thread = threading.Thread(target=swap)
    thread.start()
    read: set[bytes] = set()
    try:
        for _ in range(3_000):
            for deed in (lambda: read.add(files.read("folder/file")), lambda: files.write("folder/file", b"inside")):
                try:
                    deed()
                except ToolFault:
                    continue
    finally:
        stop.set()
        thread.join()
    assert read == {b"inside"}  # and not an empty set: some of it came through
    assert (outside / "file").read_text() == "outside"
    assert [entry.name for entry in outside.iterdir()] == ["file"]


def _exchange(one: Path, other: Path) -> None:
    """Swap two names at once, as renameat2(2) can."""
    exchange, here = 2, -100
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.renameat2(here, os.fsencode(one), here, os.fsencode(other), exchange):
        raise OSError(ctypes.get_errno(), "renameat2")
