"""The list that bubblewrap reads: what is mounted, in which order, and that nothing else is."""

from __future__ import annotations

from pathlib import Path

from runners.workspace.options import Room, encode, options

ROOM = Room(worktree=Path("/w/tree"), shelf=Path("/w/shelf"), tmp_mb=16)


def pairs(listed: list[str], name: str) -> list[tuple[str, str]]:
    return [(listed[i + 1], listed[i + 2]) for i, option in enumerate(listed) if option == name]


def test_only_the_worktree_is_bound_writable():
    assert pairs(options(ROOM, {}), "--bind") == [("/w/tree", "/workspace")]


def test_a_read_only_room_binds_nothing_writable():
    room = Room(worktree=Path("/w/tree"), shelf=Path("/w/shelf"), tmp_mb=16, writable=False)
    assert pairs(options(room, {}), "--bind") == []
    assert ("/w/tree", "/workspace") in pairs(options(room, {}), "--ro-bind")


def test_every_namespace_is_new_and_every_capability_gone():
    listed = options(ROOM, {})
    for option in ("--unshare-all", "--disable-userns", "--die-with-parent", "--new-session", "--clearenv"):
        assert option in listed
    assert listed[listed.index("--cap-drop") + 1] == "ALL"
    assert not {"--share-net", "--dev-bind", "--bind-try", "--cap-add"} & set(listed)


def test_the_root_and_dev_are_closed_last():
    assert options(ROOM, {})[-4:] == ["--remount-ro", "/dev", "--remount-ro", "/"]


def test_every_tmpfs_has_a_size():
    listed = options(ROOM, {})
    places = [i for i, option in enumerate(listed) if option == "--tmpfs"]
    assert len(places) == 3
    assert all(listed[i - 2] == "--size" for i in places)


def test_the_callers_environment_wins_over_the_jails():
    assert ("HOME", "/elsewhere") in pairs(options(ROOM, {"HOME": "/elsewhere"}), "--setenv")
    assert ("HOME", "/home/agent") not in pairs(options(ROOM, {"HOME": "/elsewhere"}), "--setenv")


def test_options_are_separated_by_nul():
    assert encode(["--setenv", "A", "two\nlines"]) == b"--setenv\0A\0two\nlines\0"
