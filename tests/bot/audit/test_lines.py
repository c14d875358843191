"""Each line of a merged change leads to its task, whichever way it was merged; docs/verify.py says the same."""

from __future__ import annotations

import json
import subprocess
import sys
import zlib
from pathlib import Path

import pytest

from bot.audit import kinds
from bot.audit.errands import explain
from bot.audit.gathering import Where
from bot.audit.lines import Lines
from bot.audit.objects import ObjectAltered, Objects
from bot.audit.origins import Origin
from bot.model.state import Gate
from tests.bot.audit.signed import SignedStory
from tests.bot.audit.story import PLAN, SPEC, TASK, git, sha

SINGLE = Path(__file__).resolve().parents[3] / "docs" / "verify.py"


def asked(task: SignedStory, what: str, capsys, code: int = 0, **more) -> dict:
    capsys.readouterr()
    assert explain(what, Where(str(task.repo), trust=task.trust_file(), **more), json=True) == code
    said = json.loads(capsys.readouterr().out)
    assert (said["schema"], said["exit"]) == ("gatewright/audit-lines/v1", code)
    return said


def finished(root: Path, land) -> SignedStory:
    """Tell a task whose change lands on main as `land` has it, and whose whole journal is on the audit ref."""
    task = SignedStory(root).until_change_review()
    task.approve(Gate.CHANGE)
    land(task)
    task.add("task.closed", kinds.TaskClosed("done", "merged"))
    task.close()
    task.archive()
    return task


def squash(task: SignedStory) -> None:
    task.merge("--squash")


def rebase(task: SignedStory) -> None:
    """Put the branch's commits on top of a main that went on meanwhile, as forges do."""
    git(task.repo, "switch", "-q", "main")
    SignedStory.__mro__[1].commit(task, {"other.py": b"other\n"}, "by hand")
    git(task.repo, "cherry-pick", "-x", f"{task.base}..gatewright/{TASK}-retry")


def bare_squash(task: SignedStory) -> None:
    """Take the source and leave the evidence behind."""
    git(task.repo, "switch", "-q", "main")
    git(task.repo, "checkout", f"gatewright/{TASK}-retry", "--", "pay.py")
    git(task.repo, "commit", "-q", "-m", "retry payments")


class TestOneLine:
    def test_it_names_commit_task_texts_people_model_verdict_and_tests(self, sealed, capsys):
        said = asked(sealed, "pay.py:1", capsys)

        (one,) = said["ranges"]
        assert (one["first"], one["last"], one["task"], one["by"]) == (1, 1, TASK, "trailer")
        assert one["is_recorded"]
        assert one["is_judged"]
        (task,) = said["tasks"]
        facts = task["facts"]
        assert (task["level"], facts["qa"]["verdict"]) == ("L3", "passed") or task["level"] == "L4"
        assert one["commit"] == facts["qa"]["commit"]
        texts = {gate["gate"]: gate["text_sha256"] for gate in facts["gates"]}
        assert texts == {"spec": sha(SPEC), "plan": sha(PLAN), "change": ""}
        assert all(gate["people"] == ["github:40077"] for gate in facts["gates"])
        assert facts["models"] == [{"provider": "claude", "model": "sonnet", "calls": 4}]
        assert facts["tests"] == [{"suite": "pytest", "exit": 0, "commit": one["commit"]}]

    @pytest.mark.parametrize(
        ("land", "by", "is_recorded"),
        [(squash, "folder", True), (rebase, "trailer", False), (bare_squash, "source", True)],
        ids=["squash", "rebase", "squash without evidence"],
    )
    def test_it_is_found_however_it_was_merged(self, tmp_path, capsys, land, by, is_recorded):
        task = finished(tmp_path, land)

        (one,) = asked(task, "pay.py:1", capsys)["ranges"]
        assert (one["task"], one["by"], one["is_recorded"], one["is_judged"]) == (TASK, by, is_recorded, True)

    @pytest.mark.parametrize("land", [None, squash, rebase, bare_squash], ids=["merge", "squash", "rebase", "bare"])
    def test_the_verifier_of_one_file_says_the_same(self, tmp_path, capsys, land):
        task = finished(tmp_path, land) if land else SignedStory(tmp_path).until_sealed()
        trust = task.trust_file()
        explain("pay.py:1", Where(str(task.repo), trust=trust))
        ours = capsys.readouterr().out.splitlines()

        command = [sys.executable, str(SINGLE), str(task.repo), "--trust", str(trust), "--line", "pay.py:1"]
        theirs = subprocess.run(command, capture_output=True, text=True, check=False).stdout.splitlines()
        heads = ("  asked for", "  spec ", "  plan ", "  change ", "  model ", "  qa ", "  test ")
        basis = [line for line in ours if line.startswith(heads)]
        assert len(basis) == len(heads)
        assert [line for line in theirs if line.startswith(heads)] == basis
        commit = ours[0].split("commit ")[1][:12]
        assert commit in theirs[0]
        assert TASK in ours[0]
        assert any(line.startswith(f"Task {TASK}: {len(task.lines)} records") for line in theirs)

    def test_a_line_by_a_person_is_nobodys_task(self, sealed, capsys):
        said = asked(sealed, "README:1", capsys)

        assert said["ranges"][0]["task"] == ""
        assert said["tasks"] == []

    def test_a_line_that_somebody_slipped_into_the_squash_is_named(self, tmp_path, capsys):
        def slip(task: SignedStory) -> None:
            git(task.repo, "switch", "-q", "main")
            git(task.repo, "merge", "-q", "--squash", f"gatewright/{TASK}-retry")
            SignedStory.__mro__[1].commit(task, {"pay.py": b"def pay(): retry(3)\nimport evil\n"}, "squashed")

        task = finished(tmp_path, slip)
        said = asked(task, "pay.py", capsys, code=1)

        assert [(one["first"], one["is_judged"]) for one in said["ranges"]] == [(1, True), (2, False)]
        explain("pay.py:2", Where(str(task.repo), trust=task.trust_file()))
        assert "!! it does not stand so in what QA judged" in capsys.readouterr().out

    def test_a_trailer_of_a_task_without_evidence(self, sealed, capsys):
        SignedStory.__mro__[1].commit(sealed, {"new.py": b"x\n"}, "more\n\nGatewright-Task: 7-abcdef")

        said = asked(sealed, "new.py:1", capsys, code=2)
        assert said["ranges"][0]["task"] == "7-abcdef"
        explain("new.py:1", Where(str(sealed.repo)))
        assert "!! no evidence of that task is here" in capsys.readouterr().out


def test_evidence_that_does_not_hold_is_said_beside_the_answer(sealed, capsys):
    sealed.archive(sealed.files() | {"plan.md": b"# Another plan\n"})

    assert explain("pay.py:1", Where(str(sealed.repo), trust=sealed.trust_file())) == 1
    said = capsys.readouterr().out
    assert f"task {TASK} (by its trailer)" in said
    assert "  FAIL  " in said


def test_a_line_of_a_branch_that_is_not_merged(tmp_path, capsys):
    task = SignedStory(tmp_path).until_change_review()
    git(task.repo, "switch", "-q", "main")
    assert explain("pay.py:1", Where(str(task.repo))) == 4  # no evidence is on main, and none on an audit ref

    branch = f"gatewright/{TASK}-retry"
    (one,) = asked(task, "pay.py:1", capsys, rev=branch)["ranges"]
    assert (one["task"], one["is_recorded"], one["is_judged"]) == (TASK, True, True)


def test_a_whole_file_is_told_in_ranges(sealed, capsys):
    SignedStory.__mro__[1].commit(sealed, {"pay.py": b"# a\n# b\ndef pay(): retry(3)\n# c\n"}, "by hand")

    said = asked(sealed, "pay.py", capsys)
    assert [(one["first"], one["last"], one["task"]) for one in said["ranges"]] == [
        (1, 2, ""),
        (3, 3, TASK),
        (4, 4, ""),
    ]


class TestWhatGitSays:
    def test_settings_of_the_repository_run_nothing_and_skip_nothing(self, sealed, capsys, tmp_path):
        commit = asked(sealed, "pay.py:1", capsys)["ranges"][0]["commit"]
        (sealed.repo / ".git" / "info").mkdir(exist_ok=True)
        (sealed.repo / ".git" / "info" / "attributes").write_text("pay.py diff=evil\n")
        (sealed.repo / "ignored").write_text(commit + "\n")
        git(sealed.repo, "config", "diff.evil.textconv", f"touch {tmp_path}/evil; cat")
        git(sealed.repo, "config", "blame.ignoreRevsFile", str(sealed.repo / "ignored"))

        assert asked(sealed, "pay.py:1", capsys)["ranges"][0]["commit"] == commit
        assert not (tmp_path / "evil").exists()

    @pytest.mark.parametrize(("above", "content"), [("", b"def pay(): stolen\n"), ("^", b"def pay(): retry(3)\n")])
    def test_an_overwritten_object_is_noticed(self, sealed, capsys, above, content):
        """In the parent it has git say that the line had been there before."""
        commit = asked(sealed, "pay.py:1", capsys)["ranges"][0]["commit"]
        found = git(sealed.repo, "rev-parse", f"{commit}{above}:pay.py")
        path = sealed.repo / ".git" / "objects" / found[:2] / found[2:]
        path.chmod(0o644)
        path.write_bytes(zlib.compress(b"blob %d\0" % len(content) + content))

        assert explain("pay.py:1", Where(str(sealed.repo))) == 4
        assert "GW-AUDIT-OBJECT-ALTERED" in capsys.readouterr().err

    @pytest.mark.parametrize("there", [1, 2, 0])
    def test_a_commit_that_does_not_hold_the_line_is_not_believed(self, sealed, there):
        with Objects(sealed.repo / ".git") as objects:
            told = Lines(objects, objects.resolve("HEAD") or "", [])
            with pytest.raises(ObjectAltered):
                told._hold(Origin(1, sealed.base, b"pay.py", there), [b"def pay(): retry(3)"])


@pytest.mark.parametrize("what", ["pay.py:9", "gone.py:1", "gone.py", ".gatewright", "--output=x:1", "../etc/passwd"])
def test_what_is_not_there_is_exit_4(sealed, capsys, what):
    assert explain(what, Where(str(sealed.repo))) == 4
    assert "GW-AUDIT-LINE" in capsys.readouterr().err


def test_lines_take_a_repository(sealed, capsys):
    assert explain("pay.py:1", Where(str(sealed.directory))) == 3
    assert "GW-AUDIT-LINE" in capsys.readouterr().err
