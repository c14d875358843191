from __future__ import annotations

import json
import shutil
from pathlib import Path

import jsonschema
import pytest

from bot.audit.command import show, verify
from bot.audit.keys import InstanceKey
from bot.audit.record import decode
from tests.bot.audit.story import TASK, YOU, Story, git


def test_a_branch_with_an_open_pull_request_is_open_and_not_a_failure(story, capsys):
    git(story.repo, "update-ref", "-d", f"refs/gatewright/audit/{TASK}")

    assert verify(story.repo) == 0

    text = capsys.readouterr().out
    assert "; open" in " ".join(text.split())
    assert "the work tree is as committed" in text
    assert "NOT PROVEN" in text
    assert "exit 0" in text
    assert max(map(len, text.splitlines())) <= 80


def test_every_prefix_that_ends_after_a_gate_is_open_and_valid(story):
    for seq, line in enumerate(story.lines):
        if decode(line).kind in ("approval", "approval.requested", "attempt.started", "model.call"):
            directory = story.repo.parent / str(seq) / TASK / "audit"
            directory.mkdir(parents=True)
            (directory / "0000.jsonl").write_bytes(b"".join(one + b"\n" for one in story.lines[: seq + 1]))
            code = verify(directory.parent)
            assert code in (0, 2), seq  # 2: approved documents are not in this copy


def test_one_changed_byte_is_named_with_record_hashes_file_and_line(story, capsys):
    git(story.repo, "checkout", "-q", ".")
    path = story.directory / "audit" / "0000.jsonl"
    path.write_bytes(path.read_bytes().replace(b'"verdict":"failed"', b'"verdict":"passed"', 1))

    assert verify(story.repo) == 1
    text = capsys.readouterr().out
    assert "FAIL  chain     record 35 (qa.verdict, 2026-11-21" in text
    assert "expected  sha256:" in text
    assert "found     sha256:" in text
    assert f"file      .gatewright/tasks/{TASK}/audit/0000.jsonl line 36" in text
    assert "ok    chain     records 0 to 34" in text
    assert "Not valid" in text
    assert "docs/audit.md#not-valid" in text
    assert max(map(len, text.splitlines())) <= 80


def test_the_commit_beneath_a_changed_work_tree_still_verifies(story):
    (story.directory / "audit" / "0000.jsonl").write_bytes(b"")

    assert verify(story.repo) == 1
    assert verify(story.repo, rev="HEAD") == 0


def test_json_is_one_document_with_a_schema(story, capsys):
    assert verify(story.repo, rev=f"refs/gatewright/audit/{TASK}", blobs=story.blobs.root, json=True) == 0

    body = json.loads(capsys.readouterr().out)
    assert body["schema"] == "gatewright/audit-verify/v1"
    assert body["exit"] == 0
    (task,) = body["tasks"]
    assert task["task"] == TASK
    assert task["level"] == "L1"
    assert task["state"] == "closed (done)"
    assert task["records"] == len(story.lines)
    assert {held["check"] for held in task["held"]} >= {
        "chain",
        "spec",
        "plan",
        "change",
        "qa",
        "tests",
        "commits",
        "blobs",
    }
    assert task["findings"] == []
    assert task["not_proven"]


def test_json_findings_carry_whole_digests(story, capsys):
    story.store([*story.lines[:9], *story.lines[10:]])

    assert verify(story.directory, json=True) == 1
    (found,) = json.loads(capsys.readouterr().out)["tasks"][0]["findings"]
    assert (found["check"], found["severity"], found["line"]) == ("chain", "tampered", 10)
    assert found["found"] == "seq 10"


@pytest.mark.parametrize("where", ["bare", "branch", "audit ref", "ref of a merged task", "folder", "directory"])
def test_evidence_is_found_wherever_it_lies(story, where):
    elsewhere = story.repo.parent / "elsewhere"
    if where == "bare":
        git(story.repo, "clone", "-q", "--bare", str(story.repo), str(elsewhere))
        assert verify(elsewhere) == 0
    elif where == "branch":
        git(story.repo, "switch", "-q", "main")
        assert verify(story.repo, rev=f"gatewright/{TASK}-retry") == 0
    elif where == "audit ref":
        git(story.repo, "switch", "-q", "main")
        assert verify(story.repo) == 0
    elif where == "ref of a merged task":
        assert verify(story.repo, rev=f"refs/gatewright/audit/{TASK}", task=TASK) == 0
    elif where == "folder":
        shutil.copytree(story.store(), elsewhere / TASK)
        assert verify(elsewhere / TASK) == 0
    else:
        shutil.copytree(story.repo, elsewhere, ignore=shutil.ignore_patterns(".git"))
        assert verify(elsewhere) == 0


def test_a_path_inside_another_repository_is_judged_by_itself(story):
    git(story.repo, "checkout", "-q", ".")

    assert verify(story.directory) == 0


def test_several_tasks_get_one_verdict_each_and_the_worst_exit(story, capsys):
    other = story.repo / ".gatewright" / "tasks" / "43-abcdef"
    shutil.copytree(story.directory, other)

    assert verify(story.repo) == 1
    text = capsys.readouterr().out
    assert f"Task {TASK} " in text
    assert "this is the journal of another task" in " ".join(text.split())
    assert verify(story.repo, task=TASK) == 0


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ({"task": "../x"}, 3),
        ({"rev": "nowhere"}, 3),
        ({"rev": "--output=x"}, 3),
        ({"blobs": "/nonexistent"}, 3),
        ({"task": "99-abcdef"}, 4),
        ({"path": "/nonexistent"}, 4),
    ],
)
def test_what_cannot_be_judged_says_what_to_do(story, capsys, arguments, code):
    assert verify(**({"path": story.repo} | arguments)) == code

    captured = capsys.readouterr()
    assert captured.out == ""
    assert "fix: " in captured.err


def test_a_repository_without_evidence_is_no_success(tmp_path, capsys):
    git(tmp_path, "init", "-q")

    assert verify(tmp_path) == 4
    assert "GW-AUDIT-NONE" in capsys.readouterr().err
    assert verify(tmp_path, rev="HEAD") == 3


def test_a_revision_of_something_that_is_no_repository(tmp_path):
    assert verify(tmp_path, rev="HEAD") == 3


def test_foreign_text_cannot_steer_the_terminal(story, capsys):
    def paint(records):
        records[0]["data"]["path"] = "acme/\x1b[2Jpay\u202e"

    assert verify(story.store(story.forge(paint))) == 0
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert "\u202e" not in out
    assert show(story.directory) == 0
    assert "\x1b" not in capsys.readouterr().out


def test_a_shallow_clone_is_incomplete_and_says_so(story, capsys):
    clone = story.repo.parent / "clone"
    git(story.repo, "clone", "-q", "--depth", "1", f"file://{story.repo}", str(clone))

    assert verify(clone) == 2
    assert "shallow" in capsys.readouterr().out


def test_an_approval_that_nobody_gave_is_named(story, capsys):
    seq = next(n for n, line in enumerate(story.lines) if decode(line).kind == "approval.requested")

    verify(story.store(story.lines[: seq + 1]))

    assert "that anybody approved the spec" in " ".join(capsys.readouterr().out.split())


class TestShow:
    def test_it_shows_a_line_a_record(self, story, capsys):
        assert show(story.store()) == 0

        lines = capsys.readouterr().out.splitlines()
        assert lines[0].startswith(f"Task {TASK}")
        assert lines[1] == "2026-11-21"
        assert len(lines) == len(story.lines) + 2
        assert all(len(line) <= 80 for line in lines)
        approved = next(line for line in lines if " approval " in line)
        assert "github:40077" in approved
        assert "what=spec" in approved

    def test_it_stops_where_belief_ends(self, story, capsys):
        lines = list(story.lines)
        lines[15] = lines[15].replace(b'"stop":"end"', b'"stop":"cut"')

        assert show(story.store(lines)) == 1
        out = capsys.readouterr().out.splitlines()
        assert out[-1].startswith("stopped: ")
        assert out[-2].lstrip().startswith("14 ")

    def test_nothing_to_show_is_an_error(self, tmp_path):
        assert show(tmp_path) == 4
        assert show(tmp_path, task="..") == 3


def test_a_local_task_says_that_one_person_decided_alone(tmp_path, capsys):
    story = Story(tmp_path, forge=("local", "localhost"))
    story.opened()
    story.spec(by=YOU)

    assert verify(story.store()) == 0
    assert "that different people let the gates pass" in " ".join(capsys.readouterr().out.split())


SCHEMA = json.loads((Path(__file__).resolve().parents[3] / "docs" / "audit-verify.schema.json").read_text())


@pytest.mark.parametrize("how", [{}, {"rev": f"refs/gatewright/audit/{TASK}"}, {"everything": True}, {"since": "HEAD"}])
def test_what_json_prints_is_as_the_published_schema_says(sealed, capsys, how):
    verify(sealed.repo, trust=sealed.trust_file(), json=True, **how)

    said = json.loads(capsys.readouterr().out)
    jsonschema.validate(said, SCHEMA)
    assert ("population" in said) == bool({"everything", "since"} & set(how))
    assert len(said["tasks"][0]["regulator"]) == 12


def test_findings_fit_the_schema_too(sealed, capsys):
    (sealed.directory / "spec.md").write_bytes(b"x")
    (sealed.directory / "audit" / "key.note").unlink()

    assert verify(sealed.repo, trust=sealed.trust_file(), json=True) == 1
    said = json.loads(capsys.readouterr().out)
    jsonschema.validate(said, SCHEMA)
    assert said["tasks"][0]["findings"]


@pytest.mark.parametrize(
    ("level", "code", "reached"), [("L0", 0, "L4"), ("L1", 0, "L4"), ("L4", 0, "L4"), (None, 0, "L4")]
)
def test_a_level_that_is_reached(sealed, capsys, level, code, reached):
    assert verify(sealed.repo, trust=sealed.trust_file(), level=level) == code
    assert f"Reached {reached} (signed, anchored and logged) with no finding" in " ".join(
        capsys.readouterr().out.split()
    )


def test_a_level_that_is_not_reached_is_incomplete_and_says_which(story, capsys):
    trust = story.repo.parent / "trust.json"
    key = InstanceKey.generate().vkey("gw-test")
    trust.write_text(json.dumps({"schema": "gatewright/trust/v1", "instance": "gw-test", "keys": [key]}))

    assert verify(story.repo, trust=trust) == 2
    assert "Reached L1, and L4 is asked" in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize(
    ("how", "code"),
    [
        ({"level": "L2"}, "GW-AUDIT-LEVEL"),
        ({"level": "L6"}, "GW-AUDIT-LEVEL"),
        ({"level": "2"}, "GW-AUDIT-LEVEL"),
        ({"trust": "/nothing/here.json"}, "GW-AUDIT-TRUST"),
        ({"log": "/nothing/here"}, "GW-AUDIT-LOG"),
    ],
)
def test_what_cannot_be_asked_is_exit_3(sealed, capsys, how, code):
    assert verify(sealed.repo, **how) == 3
    assert code in capsys.readouterr().err


def test_l5_takes_somebody_who_saw_it(sealed, capsys):
    assert verify(sealed.repo, trust=sealed.trust_file(), level="L5") == 3
    assert "witnesses or time stamping" in capsys.readouterr().err


def test_all_commits_are_counted_and_gaps_named(sealed, capsys):
    assert verify(sealed.repo, trust=sealed.trust_file(), everything=True) == 0
    assert "each belongs to one sealed task" in capsys.readouterr().out
    git(sealed.repo, "commit", "-q", "--allow-empty", "-m", "x\n\nGatewright-Task: 7-gone")
    assert verify(sealed.repo, trust=sealed.trust_file(), everything=True) == 2
    assert "7-gone, of which no evidence is here" in " ".join(capsys.readouterr().out.split())
