"""What an auditor is handed: the same bytes twice, nothing left out in silence, and checkable without us."""

from __future__ import annotations

import csv
import hashlib
import io
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from bot.audit.command import show, verify
from bot.audit.errands import export
from bot.audit.export import verifier
from bot.audit.gathering import Where
from tests.bot.audit.signed import SignedStory
from tests.bot.audit.story import TASK

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def given(sealed, tmp_path):
    """The sealed task with its log, and where the bundle goes."""
    return sealed, sealed.log.write(tmp_path / "log"), tmp_path / "audit.zip"


def bundled(task, out, code: int = 0, **more) -> dict[str, bytes]:
    days = {name: more.pop(name) for name in ("since", "until") if name in more}
    where = Where(str(more.pop("path", task.repo)), **({"task": TASK} | more))
    assert export(where, out, **days) == code
    with zipfile.ZipFile(out) as archive:
        return {member.filename: archive.read(member) for member in archive.infolist()}


def test_a_bundle_holds_evidence_log_list_verifier_and_how_to_check(given, capsys):
    task, log, out = given
    held = bundled(task, out, log=log)

    evidence = {name.removeprefix(f"tasks/{TASK}/"): raw for name, raw in held.items() if name.startswith("tasks/")}
    assert evidence == task.files()  # the fullest copy: the one on the audit ref
    assert {name.removeprefix("log/") for name in held if name.startswith("log/")} == {
        path.relative_to(log).as_posix() for path in log.rglob("*") if path.is_file()
    }
    assert held["verify.py"] == (ROOT / "docs" / "verify.py").read_bytes()
    (row,) = csv.DictReader(io.StringIO(held["changes.csv"].decode(), newline=""))
    assert row["task"] == TASK
    assert set(held) - set(evidence) >= {"README.md", "SHA256SUMS", "changes.csv", "verify.py"}
    assert not {"trust.json"} & set(held)
    assert not any(name.startswith("blobs/") for name in held)
    sums = dict(reversed(line.split("  ")) for line in held["SHA256SUMS"].decode().splitlines())
    assert sums == {name: hashlib.sha256(raw).hexdigest() for name, raw in held.items() if name != "SHA256SUMS"}
    assert hashlib.sha256(held["SHA256SUMS"]).hexdigest() in capsys.readouterr().err


def test_the_same_evidence_gives_the_same_bytes(given, tmp_path):
    task, log, out = given
    bundled(task, out, log=log)
    shutil.copytree(task.repo, tmp_path / "elsewhere", symlinks=True)
    again = tmp_path / "again.zip"
    bundled(task, again, path=tmp_path / "elsewhere", log=log)

    assert again.read_bytes() == out.read_bytes()
    with zipfile.ZipFile(out) as archive:
        members = archive.infolist()
    assert [one.filename for one in members] == sorted(one.filename for one in members)
    assert {(one.date_time, one.external_attr >> 16, one.create_system) for one in members} == {
        ((1980, 1, 1, 0, 0, 0), 0o100644, 3)
    }


def test_ours_and_the_verifier_inside_judge_it(given, tmp_path, capsys):
    task, log, out = given
    bundled(task, out, log=log)
    trust = task.trust_file()
    assert verify(out, trust=trust) == 0
    assert "Reached L4" in capsys.readouterr().out

    with zipfile.ZipFile(out) as archive:
        archive.extractall(tmp_path / "bundle")
    assert verify(tmp_path / "bundle", trust=trust) == 0
    assert "Reached L4" in capsys.readouterr().out
    assert show(tmp_path / "bundle", html=tmp_path / "x.html") == 0
    command = [sys.executable, "verify.py", ".", "--trust", str(trust), "--level", "L2"]
    done = subprocess.run(command, cwd=tmp_path / "bundle", capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
    assert f"Task {TASK}: {len(task.lines)} records, sealed" in done.stdout
    summed = subprocess.run(["sha256sum", "--quiet", "-c", "SHA256SUMS"], cwd=tmp_path / "bundle", check=False)
    assert summed.returncode == 0


def test_what_was_altered_in_a_bundle_is_caught_by_both(given, tmp_path):
    task, log, out = given
    bundled(task, out, log=log)
    with zipfile.ZipFile(out) as archive:
        archive.extractall(tmp_path / "bundle")
    spec = tmp_path / "bundle" / "tasks" / TASK / "spec.md"
    spec.write_bytes(b"# Else\n")

    assert verify(tmp_path / "bundle") == 1
    command = [sys.executable, "verify.py", "."]
    assert subprocess.run(command, cwd=tmp_path / "bundle", capture_output=True, check=False).returncode == 1


def test_the_commands_of_the_readme_do_what_they_say(given, tmp_path):
    """Run the openssl part as it stands there, for the key of the instance."""
    task, log, out = given
    held = bundled(task, out, log=log)
    with zipfile.ZipFile(out) as archive:
        archive.extractall(tmp_path / "bundle")
    blocks = re.findall(r"^```\n(.*?)^```", held["README.md"].decode(), re.MULTILINE | re.DOTALL)
    chain, seal, key = (next(one for one in blocks if word in one) for word in ("record", "DSSEv1", "openssl"))
    vkey = str(task.keys.vkeys()[0]).split("+", 2)[2]

    def run(text: str) -> str:
        done = subprocess.run(
            ["bash", "-ec", text.replace("TASK", TASK).replace("BASE64", vkey)], cwd=tmp_path / "bundle",
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert run(chain).split()[0] in task.lines[1].decode()
    said = run(seal)
    journal, payload = said.splitlines()[0].split()[0], said.splitlines()[-1]
    assert journal in payload
    key = key.replace("signature.0", "signature.1")  # the task's key signed first, the instance's second
    assert "Verified Successfully" in run(key)


def test_trust_and_blobs_are_in_it_when_they_are_given(given):
    task, log, out = given
    plain = bundled(task, out, log=log)["README.md"].decode()
    held = bundled(task, out, log=log, trust=task.trust_file(), blobs=task.blobs.root)

    assert held["trust.json"] == task.trust_file().read_bytes()
    assert "ignores it" in held["README.md"].decode()
    assert "There is none in here, on purpose" in plain
    stored = [path.name for path in task.blobs.root.rglob("*") if path.is_file()]
    assert sorted(name.rpartition("/")[2] for name in held if name.startswith("blobs/")) == sorted(stored)
    assert verify(out, trust=task.trust_file()) == 0


def test_a_trust_file_in_a_bundle_is_nobodys_word(given):
    task, log, out = given
    bundled(task, out, log=log, trust=task.trust_file())

    assert verify(out, level="L2") == 3


@pytest.mark.parametrize(
    ("days", "code"), [({"since": "2026-11-01", "until": "2026-11-30"}, 0), ({"since": "2026-12-01"}, 4)]
)
def test_a_period_may_be_exported(given, capsys, days, code):
    task, _, out = given
    assert export(Where(str(task.repo)), out, **days) == code
    assert out.exists() == (code == 0)


def test_what_a_bundle_cannot_hold_is_said_and_not_hidden(given, capsys):
    task, log, out = given
    (task.directory / "audit" / "link").symlink_to("/etc/passwd")
    (task.directory / "a b").write_bytes(b"x")

    held = bundled(task, out, code=1, path=task.directory, log=log)
    said = capsys.readouterr().err
    assert f"not in the bundle: tasks/{TASK}/a b" in said
    assert f"not in the bundle: tasks/{TASK}/audit/link (is a symbolic link)" in said
    assert not any("link" in name or " " in name for name in held)


def test_several_tasks_stand_side_by_side(given, tmp_path):
    task, _, out = given
    other = task.repo / ".gatewright" / "tasks" / "43-abcdef"
    shutil.copytree(task.directory, other)

    assert export(Where(str(task.repo)), out, since="2026-11-01") == 1  # the copy is another task's journal
    with zipfile.ZipFile(out) as archive:
        names = archive.namelist()
        rows = archive.read("changes.csv").decode().splitlines()
    assert {name.split("/")[1] for name in names if name.startswith("tasks/")} == {TASK, "43-abcdef"}
    assert len(rows) == 3


@pytest.mark.parametrize(
    ("how", "code", "exit_"),
    [
        ({}, "GW-AUDIT-EXPORT", 3),
        ({"since": "last week"}, "GW-AUDIT-DAY", 3),
        ({"since": "2026-11-01", "out": Path("/nowhere/x.zip")}, "GW-AUDIT-OUT", 3),
    ],
)
def test_what_cannot_be_exported_says_why(given, capsys, how, code, exit_):
    task, _, out = given
    assert export(Where(str(task.repo)), how.pop("out", out), **how) == exit_
    assert code in capsys.readouterr().err


def test_a_wheel_brings_the_verifier(tmp_path):
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        assert archive.read("bot/shipped/verify.py") == (ROOT / "docs" / "verify.py").read_bytes()
        templates = {name for name in archive.namelist() if name.startswith("bot/audit/templates/")}
        archive.extractall(tmp_path / "installed")
    assert {name.rpartition("/")[2] for name in templates} == {"page.html.j2", "page.css", "bundle.md.j2"}
    asked = "import bot.audit.export as e; print(len(e.verifier()), e.__file__)"
    said = subprocess.run(
        [sys.executable, "-c", asked], cwd=tmp_path / "installed", capture_output=True, text=True, check=True
    ).stdout.split()
    assert int(said[0]) == len(verifier())
    assert said[1].startswith(str(tmp_path))


def test_an_open_task_may_be_exported_too(tmp_path):
    task = SignedStory(tmp_path / "open").until_change_review()
    held = bundled(task, tmp_path / "x.zip")

    assert "audit/seal.dsse.json" not in {name.partition(f"{TASK}/")[2] for name in held}
    assert "| open |" in held["README.md"].decode()
