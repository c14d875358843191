"""docs/verify.py is another program by the same description: it shares no code, and comes to the same verdicts."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from bot.audit.sheet import Severity, Verdict
from bot.audit.verify import verify
from tests.bot.audit.cases import AUDIT, CASES, UNPROVEN, Case, Subject, bare, repo
from tests.bot.audit.signed import SignedStory
from tests.bot.audit.story import TASK, git

PROGRAM = Path(__file__).resolve().parents[3] / "docs" / "verify.py"
ABOVE = ("log", "witness", "time")  # checks of what lies above level 3
REACHED = re.compile(r"^Task .* reached (L[0-3])", re.MULTILINE)


def told(subject: Subject, *more: str, level: int | None = None) -> subprocess.CompletedProcess[str]:
    """Run it alone: no environment, no site-packages, nothing of ours to import."""
    words = [str(subject.path), "--trust", str(subject.trust), *more]
    words += ["--rev", subject.rev] if subject.rev else []
    words += ["--level", f"L{level}"] if level else []
    argv = [sys.executable, "-I", "-S", "-B", str(PROGRAM), *words]
    return subprocess.run(argv, capture_output=True, text=True, check=False)


def ours(subject: Subject, level: int) -> Verdict:
    """Judge with the main verifier, up to level 3."""
    verdict = verify(subject.path, rev=subject.rev, by=subject.terms(level))[0]
    found = tuple(one for one in verdict.findings if one.check not in ABOVE)
    return msgspec.structs.replace(verdict, findings=found, level=min(verdict.level, "L3"))


def test_it_is_short_and_needs_nothing():
    source = PROGRAM.read_text(encoding="utf-8")
    named = {
        name.split(".")[0]
        for node in ast.walk(ast.parse(source, feature_version=(3, 9)))
        for name in ([a.name for a in node.names] if isinstance(node, ast.Import) else
                     [node.module or ""] if isinstance(node, ast.ImportFrom) else [])
    }  # fmt: skip

    assert source.count("\n") <= 500
    assert max(map(len, source.splitlines())) <= 132
    assert named <= set(sys.stdlib_module_names)
    assert not list(PROGRAM.parent.rglob("__pycache__"))


@pytest.mark.parametrize("case", CASES, ids=str)
def test_it_comes_to_the_same_verdict(sealed, tmp_path, case: Case):
    subject = case.make(sealed, tmp_path)
    level = min(case.level, 3)

    done = told(subject, level=level)

    assert done.stderr == "" or done.returncode in (1, 3, 4), done.stderr
    if case.alone is not None:
        assert done.returncode == case.alone, done.stdout
        assert "(L4, L5)" in done.stdout or case.alone == 4
        return
    verdict = ours(subject, level)
    assert done.returncode == verdict.exit_code, (done.stdout, verdict.findings)
    if done.returncode == 0:
        assert REACHED.findall(done.stdout) == [verdict.level]


@pytest.mark.parametrize("level", [1, 2, 3])
@pytest.mark.parametrize("where", ["checkout", "audit ref", "merge", "folder", "bare"])
def test_it_reaches_the_same_level_where_all_is_well(sealed, tmp_path, where, level):
    match where:
        case "folder":
            subject = bare(sealed, tmp_path)
        case "bare":
            git(sealed.root, "clone", "-q", "--mirror", str(sealed.repo), str(sealed.root / "bare"))
            subject = Subject(sealed.root / "bare", sealed.trust_file())
        case _:
            subject = repo(sealed, {"checkout": None, "audit ref": AUDIT, "merge": "main"}[where])

    done = told(subject, level=level)

    assert (done.returncode, REACHED.findall(done.stdout)) == (0, ["L3"]), done.stdout
    assert (ours(subject, level).exit_code, ours(subject, level).level) == (0, "L3")


def test_without_trust_it_reaches_l1(sealed, story):
    for path in (sealed.repo, story.repo):
        done = subprocess.run([sys.executable, "-I", PROGRAM, path], capture_output=True, text=True, check=False)
        assert (done.returncode, REACHED.findall(done.stdout)) == (0, ["L1"]), done.stdout
        assert "no signature that counts" in done.stdout


def test_it_prints_what_is_out_of_reach(sealed, tmp_path):
    for make, code in dict.fromkeys((case.make, case.code) for case in UNPROVEN):
        done = told(make(sealed, tmp_path))

        assert done.returncode == code
        assert [case.name for case in UNPROVEN if case.make is make and case.single not in done.stdout] == []


@pytest.mark.parametrize("raw", ["", "{}", '{"keys":["x"]}', '{"keys":[1],"instance":"gw-test"}', "[]"])
def test_a_trust_file_that_is_none_is_exit_3(sealed, tmp_path, raw):
    trust = tmp_path / "trust.json"
    trust.write_text(raw)

    assert told(Subject(sealed.repo, trust)).returncode == 3


def test_usage_and_nothing_to_judge(sealed, tmp_path):
    trust = sealed.trust_file()

    assert told(Subject(sealed.repo, trust, "nowhere")).returncode == 3
    assert told(Subject(sealed.repo, trust), "--task", "no-such").returncode == 4
    assert told(Subject(tmp_path / "nothing", trust)).returncode == 4


class TestLine:
    @pytest.mark.parametrize("how", ["merge", "squash", "rebase"])
    def test_a_line_of_a_merged_change_tells_where_it_comes_from(self, sealed, how):
        if how != "merge":
            git(sealed.repo, "switch", "-q", "-C", "main", sealed.base)
            sealed.commit({"other.py": b"print()\n"}, "by others")
        if how == "squash":
            sealed.merge("--squash")
        elif how == "rebase":
            branch = f"gatewright/{TASK}-retry"
            git(sealed.repo, "cherry-pick", "--allow-empty", f"{sealed.base}..{branch}")

        done = told(repo(sealed), "--line", "pay.py:1")

        assert done.returncode == 0, done.stdout
        first, second, *rest = done.stdout.splitlines()
        assert first.startswith("pay.py:1 comes from commit ")
        assert first.endswith(f": {TASK}")
        assert second.startswith(f"Task {TASK}: 61 records, sealed, reached L3")
        for expected in (r"issue 42 of acme/pay", r"spec .*github:40077: digest .*sha256:[0-9a-f]{64}",
                         r"plan .*github:40077: digest", r"change .*github:40077", r"model +sonnet by claude, 4 calls",
                         r"qa +passed, 1 of 1", r"test +pytest: exit 0"):  # fmt: skip
            assert any(re.search(expected, line) for line in rest), expected

    def test_a_line_of_somebody_else_is_nobodys_task(self, sealed):
        done = told(repo(sealed), "--line", "README:1")

        assert "no change of the bot" in done.stdout
        assert done.returncode == 4

    def test_a_line_that_is_not_there(self, sealed):
        assert told(repo(sealed), "--line", "README:99").returncode == 3


def test_several_tasks_in_one_repository(sealed, tmp_path):
    other = SignedStory(tmp_path / "other").until_sealed()
    top = sealed.repo / ".gatewright" / "tasks" / "43-other"
    for path, raw in other.files().items():
        (top / path).parent.mkdir(parents=True, exist_ok=True)
        (top / path).write_bytes(raw)
    git(sealed.repo, "add", "-A", "-f")
    git(sealed.repo, "commit", "-qm", "another task's journal under another name")

    done = told(repo(sealed))

    assert done.returncode == 1
    assert [line.split()[1] for line in done.stdout.splitlines() if line.startswith("Task ")] == [
        f"{TASK}:",
        "43-other:",
    ]
    assert Severity.TAMPERED in {f.severity for f in verify(sealed.repo, by=repo(sealed).terms(3))[1].findings}
