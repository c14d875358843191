"""The verbs for people, as they are typed."""

from __future__ import annotations

import json
import zipfile

import pytest
from typer.testing import CliRunner

from bot.cli import app
from tests.bot.audit.story import TASK, git


def typed(*words: object) -> tuple[int, str, str]:
    done = CliRunner().invoke(app, ["audit", *map(str, words)])
    return done.exit_code, done.stdout, done.stderr


def test_each_verb_does_its_work_from_the_command_line(sealed, tmp_path):
    trust, log = sealed.trust_file(), sealed.log.write(tmp_path / "log")
    judged = ("--trust", trust, "--log", log)

    assert typed("show", sealed.repo, "--html", tmp_path / "a.html", *judged)[0] == 0
    assert "Reached L4" in (tmp_path / "a.html").read_text()
    code, out, _ = typed("changes", sealed.repo, "--since", "2026-11-21", "--format", "json", "--titles", *judged)
    assert code == 0
    assert [(row["task"], row["title"], row["level"]) for row in json.loads(out)["changes"]] == [(TASK, "Retry", "L4")]
    code, out, said = typed("export", sealed.repo, "--task", TASK, "--out", tmp_path / "a.zip", *judged)
    assert (code, out) == (0, "")
    assert said.startswith(f"{tmp_path}/a.zip: 1 task, ")
    assert zipfile.is_zipfile(tmp_path / "a.zip")
    code, out, _ = typed("explain", "pay.py:1", "--repo", sealed.repo, *judged)
    assert code == 0
    assert out.startswith("pay.py:1 comes from commit ")
    assert f"Task {TASK}: {len(sealed.lines)} records, sealed, reached L4" in out
    assert typed("explain", "pay.py", "--repo", sealed.repo, "--rev", "HEAD~1", "--json")[0] == 0


@pytest.mark.parametrize("words", [("export",), ("changes", "--format"), ("explain",)])
def test_a_call_that_lacks_something_is_a_usage_error(words):
    assert typed(*words)[0] == 2


def test_a_bundle_can_be_listed_shown_and_exported_again(sealed, tmp_path):
    typed("export", sealed.repo, "--task", TASK, "--out", tmp_path / "a.zip")

    assert TASK in typed("changes", tmp_path / "a.zip")[1]
    assert typed("show", tmp_path / "a.zip", "--html", tmp_path / "a.html")[0] == 0
    assert typed("export", tmp_path / "a.zip", "--task", TASK, "--out", tmp_path / "b.zip")[0] == 0
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()


def test_what_nothing_is_known_of_is_exit_4(sealed, tmp_path):
    empty = tmp_path / "empty"
    empty.mkdir()
    git(empty, "init", "-q")

    assert typed("changes", empty)[0] == 4
    assert typed("changes", empty)[2].startswith("no evidence at")
    assert typed("explain", "x:1", "--repo", empty)[0] == 4
    assert typed("export", sealed.repo, "--task", "99-abcdef", "--out", tmp_path / "a.zip")[0] == 4


def test_names_cannot_steer_the_terminal(sealed):
    evil = "a\x1b[2J\u202e.py"
    (sealed.repo / evil).write_bytes(b"x\n")
    git(sealed.repo, "add", "-A")
    git(sealed.repo, "commit", "-q", "-m", "x")

    code, out, _ = typed("explain", f"{evil}:1", "--repo", sealed.repo)
    assert code == 0
    assert not {"\x1b", "\u202e"} & set(out)
    _, _, said = typed("explain", f"{evil}:9", "--repo", sealed.repo)
    assert not {"\x1b", "\u202e"} & set(said)
