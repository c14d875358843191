"""Where the jail's user gets to, and what is copied for it where it does not."""

from __future__ import annotations

import stat

import pytest

from bot.model.errors import GatewrightError
from runners.workspace.reach import blocked, readable, require

STRANGER = 61_234  # a user that owns nothing here


@pytest.fixture
def home(place):
    path = place / "home"
    (path / "lib").mkdir(parents=True)
    (path / "lib/runtime").write_text("binary")
    (path / "lib/runtime").chmod(0o755)
    path.chmod(0o700)
    return path


def test_the_first_closed_directory_is_named(home):
    assert blocked(home / "lib/runtime", STRANGER) == home
    assert blocked(home, STRANGER) is None  # only the way counts


def test_the_owner_and_the_group_pass_where_they_may(home):
    found = home.stat()
    assert blocked(home / "lib", found.st_uid) is None
    home.chmod(0o710)
    assert blocked(home / "lib", STRANGER, (found.st_gid,)) is None
    assert blocked(home / "lib", STRANGER, ()) == home


def test_an_ordinary_worker_passes_where_it_passes_itself(home):
    assert blocked(home / "lib/runtime", None) is None


def test_a_link_at_the_end_is_not_followed(home, place):
    (place / "link").symlink_to(home / "lib")
    assert blocked(place / "link", STRANGER) is None
    assert blocked(place / "link/runtime", STRANGER) == home


def test_a_closed_way_is_an_error_with_what_to_set(home):
    with pytest.raises(GatewrightError) as caught:
        require(home / "lib/runtime", STRANGER)
    assert caught.value.code == "GW-SANDBOX-PATH"


def test_what_can_be_read_is_used_as_it_is(home, place):
    home.chmod(0o755)
    assert readable(home / "lib/runtime", place / "cache", STRANGER) == home / "lib/runtime"
    assert not (place / "cache").exists()


def test_a_file_is_linked_once_per_version(home, place):
    first = readable(home / "lib/runtime", place / "cache", STRANGER)
    assert first.stat().st_ino == (home / "lib/runtime").stat().st_ino
    assert readable(home / "lib/runtime", place / "cache", STRANGER) == first
    (home / "lib/runtime").unlink()
    (home / "lib/runtime").write_text("newer binary")
    assert readable(home / "lib/runtime", place / "cache", STRANGER) != first


def test_a_file_that_only_its_owner_reads_is_copied_and_keeps_its_own_mode(home, place):
    (home / "lib/runtime").chmod(0o700)
    kept = readable(home / "lib/runtime", place / "cache", STRANGER)
    assert kept.read_text() == "binary"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o755
    assert stat.S_IMODE((home / "lib/runtime").stat().st_mode) == 0o700


def test_a_folder_is_copied_whole_with_its_links(home, place):
    (home / "lib/link").symlink_to("runtime")
    (home / "lib/deep").mkdir(mode=0o700)
    (home / "lib/deep/file").write_text("f")
    kept = readable(home / "lib", place / "cache", STRANGER)
    assert (kept / "link").readlink().name == "runtime"
    assert (kept / "deep/file").read_text() == "f"
    assert blocked(kept / "deep/file", STRANGER) is None
