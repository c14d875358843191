"""Where the jail's user gets to, and what is copied for it where it does not."""

from __future__ import annotations

import stat

import pytest

from bot.model.errors import GatewrightError
from runners.workspace.reach import blocked, readable, require, toolchains

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


def test_a_private_folder_is_copied_anew_where_something_deep_in_it_is_new(home, place):
    (home / "lib/versions").mkdir()
    first = readable(home / "lib", place / "cache", STRANGER)
    assert readable(home / "lib", place / "cache", STRANGER) == first
    (home / "lib/versions/3.13").mkdir()
    assert (readable(home / "lib", place / "cache", STRANGER) / "versions/3.13").is_dir()


def test_toolchains_are_mounted_outermost_first(place):
    for name in ("jdk", "jdk/lib", "jdk-extra"):
        (place / name).mkdir()
    named = [f"{place}/jdk/lib", f"{place}/jdk-extra/", f"{place}/jdk"]
    shown = [inside for _, inside in toolchains(named, place / "cache", None)]
    assert shown.index(f"{place}/jdk") < shown.index(f"{place}/jdk/lib")
    assert f"{place}/jdk-extra" in shown


@pytest.mark.parametrize(
    ("named", "words"), [("/nothing/jdk", "no such file"), ("/home", "its own"), ("/", "its own"), ("/etc/", "its own")]
)
def test_a_toolchain_that_cannot_be_shown_is_named(named, words, place):
    with pytest.raises(GatewrightError) as caught:
        toolchains([named], place / "cache", None)
    assert caught.value.code == "GW-SANDBOX-BIND"
    assert words in caught.value.why


def test_a_toolchain_that_is_a_dead_link_is_said_to_be_one(place):
    (place / "current").symlink_to("jdk-21")
    with pytest.raises(GatewrightError) as caught:
        toolchains([f"{place}/current"], place / "cache", None)
    assert "link" in caught.value.why
