"""Folders of one command."""

from __future__ import annotations

import os
import stat

import pytest

from bot.model.errors import UsageError
from bot.settings import Settings, Worker
from bot.terminal import places
from bot.terminal.places import kept, remove, scratch, work_dir


def test_a_throw_away_folder_can_be_passed_through_and_not_listed_by_others():
    folder = scratch("gw-test-")
    assert stat.S_IMODE(folder.stat().st_mode) == 0o711
    assert remove(folder) == ""
    assert not folder.exists()


def test_what_a_program_closed_is_removed_all_the_same():
    folder = scratch("gw-test-")
    (folder / "closed/inner").mkdir(parents=True)
    (folder / "closed/inner/file").write_text("x")
    (folder / "link").symlink_to("/")
    (folder / "closed/inner").chmod(0)
    (folder / "closed").chmod(0)
    assert remove(folder) == ""
    assert not folder.exists()


def test_what_resists_is_named():
    assert "No such file" in remove(scratch("gw-test-") / "nowhere")


def test_a_folder_to_keep_is_made_and_may_be_empty(tmp_path):
    assert kept(tmp_path / "new/deep") == tmp_path / "new/deep"
    assert kept(tmp_path / "new/deep").is_dir()


def test_a_folder_with_something_in_it_is_refused(tmp_path):
    (tmp_path / "mine").touch()
    with pytest.raises(UsageError, match="not empty"):
        kept(tmp_path)


def test_settings_decide_where_worktrees_lie():
    assert work_dir(Settings(worker=Worker(work_dir="/srv/work"))) == {}


def test_a_root_workers_jail_gets_a_place_outside_of_private_homes(monkeypatch, tmp_path):
    monkeypatch.setattr(places, "SHARED", tmp_path / "shared")
    if os.geteuid() == 0:
        assert work_dir(Settings()) == {"GATEWRIGHT_WORKER__WORK_DIR": str(tmp_path / "shared/work")}
        assert stat.S_IMODE((tmp_path / "shared").stat().st_mode) == 0o711
    else:
        assert work_dir(Settings()) == {}, "an ordinary user works below the state directory"
