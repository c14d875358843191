"""Directories that hostile users write into."""

from __future__ import annotations

import os
import stat

from runners.workspace.files import erase, give, open_root, passage
from tests.runners.workspace.kit import OWNER, TABLE, names, sh


async def test_erasing_follows_no_link(place):
    (place / "victim").mkdir()
    (place / "victim/file").write_text("v")
    (place / "tree").mkdir()
    (place / "tree/link").symlink_to(place / "victim")
    (place / "bare-link").symlink_to(place / "victim")
    await erase(place / "tree")
    await erase(place / "bare-link")
    assert names(place) == ["victim"]
    assert (place / "victim/file").read_text() == "v"


async def test_erasing_what_is_not_there_is_no_error(place):
    await erase(place / "nothing")


async def test_erasing_copes_with_closed_folders(place):
    sh("mkdir -p tree/closed/in && touch tree/closed/in/file && chmod 0 tree/closed/in tree/closed", place)
    await erase(place / "tree")
    assert names(place) == []


async def test_handing_over_changes_links_and_not_what_they_name(place):
    (place / "victim").write_text("v")
    (place / "tree").mkdir()
    (place / "tree/link").symlink_to(place / "victim")
    await give(place / "tree", OWNER)
    mine = os.geteuid()
    assert (place / "tree/link").lstat().st_uid == (mine if OWNER is None else OWNER)
    assert (place / "victim").stat().st_uid == mine
    assert stat.S_IMODE((place / "tree").stat().st_mode) == 0o700


def test_the_root_of_all_work_lets_the_jails_pass_and_nobody_list(place):
    found = open_root(place / "deep/work", TABLE.user).stat()
    assert stat.S_IMODE(found.st_mode) == (0o700 if OWNER is None else 0o710)
    assert found.st_gid == (os.getegid() if OWNER is None else TABLE.user)


def test_a_passage_is_not_listed(place):
    assert stat.S_IMODE(passage(place / "p").stat().st_mode) == 0o711
