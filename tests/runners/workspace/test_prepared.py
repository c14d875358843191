from __future__ import annotations

from pathlib import Path

from runners.workspace.prepared import SOURCE, options, pieces


def test_directories_of_the_home_stay_writable_and_what_lies_in_them_does_not(tmp_path: Path) -> None:
    home = tmp_path / "home"
    (home / ".cache" / "pip").mkdir(parents=True)
    (home / ".cache" / "note").touch()
    (home / ".netrc").touch()
    assert pieces(home, "/h") == [
        "--dir", "/h/.cache",
        "--ro-bind", str(home / ".cache" / "note"), "/h/.cache/note",
        "--ro-bind", str(home / ".cache" / "pip"), "/h/.cache/pip",
        "--ro-bind", str(home / ".netrc"), "/h/.netrc",
    ]  # fmt: skip
    assert options(tmp_path, "/h")[:3] == ["--ro-bind", str(tmp_path / "tree"), SOURCE]


def test_a_link_is_made_anew_and_never_followed_here(tmp_path: Path) -> None:
    (tmp_path / ".cache").symlink_to("/root")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "x").symlink_to("/etc/shadow")
    assert pieces(tmp_path, "/h") == [
        "--symlink", "/root", "/h/.cache", "--dir", "/h/bin", "--symlink", "/etc/shadow", "/h/bin/x",
    ]  # fmt: skip
