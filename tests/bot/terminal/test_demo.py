"""The demo as people see it: without a terminal, at one, interrupted, kept, and with the evidence tampered with."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from bot.terminal.models import Machine as Runners
from tests.bot.terminal.machine import ROOT, Ended, Machine, git, new_machine
from tests.conftest import missing
from tests.flow import outsiders

# Words that follow `gatewright` in a hint, however it is broken over lines.
HINT = re.compile(r"^  (\w[\w ]*?) {2,}((?:.*\\\n)*.*)$", re.MULTILINE)


@dataclass
class Kept:
    """A demo that was kept, and what it said."""

    machine: Machine
    folder: Path
    ended: Ended

    def hint(self, name: str) -> str:
        """The command after a word of the summary, as a shell would read it."""
        return str(dict(HINT.findall(self.ended.err))[name])

    def paste(self, command: str) -> subprocess.CompletedProcess[str]:
        """Paste a command into a shell in which `gatewright` is this one."""
        ours = f'gatewright() {{ {sys.executable} -P -m bot "$@"; }}\n'
        return subprocess.run(
            ["/bin/bash", "-c", ours + command], env={**self.machine.env, "PYTHONPATH": str(ROOT)},
            capture_output=True, text=True, check=False, cwd=self.machine.home,
        )  # fmt: skip


@pytest.fixture(scope="module")
def kept() -> Iterator[Kept]:
    with new_machine() as machine:
        folder = machine.folder / "kept"
        yield Kept(machine, folder, machine.run("demo", "--keep", str(folder)))


def test_without_a_terminal_it_approves_by_itself_and_says_so(kept):
    assert kept.ended.code == 0, kept.ended.err
    assert "Every gate is approved by itself: there is no terminal to ask at." in kept.ended.err
    assert kept.ended.err.count("approved by itself (no terminal)") == 3


def test_the_end_is_sealed_on_the_audit_ref_for_anybody_to_check(kept, tmp_path):
    refs = git(kept.folder / "repo", "for-each-ref", "--format=%(refname)", "refs/gatewright/audit").split()
    assert len(refs) == 1
    said = outsiders.read(kept.folder / "repo", refs[0].rpartition("/")[2], tmp_path)
    assert said["predicate"]["outcome"] == "done"
    assert [one["what"] for one in said["predicate"]["approvals"]] == ["spec", "plan", "change"]
    assert f"{said['predicate']['records']} records, sealed, on the audit ref" in kept.ended.err


def test_it_says_that_no_model_is_used(kept):
    assert "No model is used: recorded answers play" in kept.ended.err


@pytest.mark.parametrize(
    "words",
    [
        "- **AC-1**: A refused connection",  # the spec
        "### 2. Compute the waits",  # the plan
        "Coding   step 3 of 3: Try again in the client",
        "3 of 4 criteria met, 9 passed, tests exit 0",  # the round that fails, and why
        "AC-3 not met: `Client.charge` goes through",
        "Fixing   by scripted:demo",
        "QA (2)   4 of 4 criteria met, 11 passed",
        "+        self.retryable = status == 503",  # the diff
        "# QA report, round 2: passed",
        "Change   waits for approval of",
    ],
)
def test_spec_plan_failing_round_fixer_diff_and_report_are_shown_in_order(kept, words):
    assert words in kept.ended.err


def test_what_it_says_of_the_sandbox_is_what_the_journal_says(kept):
    journal = next(kept.folder.glob("change/.gatewright/tasks/*/audit/0000.jsonl"))
    records = [json.loads(line) for line in journal.read_text().splitlines()]
    kinds = {r["data"]["result"] for r in records if r["kind"] == "gate" and r["data"]["rule"] == "sandbox"}
    assert kinds in ({"bwrap"}, {"none"})
    assert ("in a sandbox (bwrap)" in kept.ended.err) == (kinds == {"bwrap"})
    assert ("WITHOUT a sandbox" in kept.ended.err) == (kinds == {"none"})


def test_the_verifier_has_the_last_word_on_stdout(kept):
    assert "ok    chain" in kept.ended.out
    assert "NOT PROVEN" in kept.ended.out
    assert "sealed by record" in kept.ended.out
    assert "Reached L4" in kept.ended.out
    assert "blobs     " in kept.ended.out
    assert kept.ended.out.rstrip().endswith("exit 0")


def test_the_repository_keeps_its_own_checkout(kept):
    assert git(kept.folder / "repo", "symbolic-ref", "--short", "HEAD") == "main\n"
    assert git(kept.folder / "repo", "status", "--porcelain") == ""
    assert not (kept.folder / "repo/pay/backoff.py").exists()
    assert (kept.folder / "change/pay/backoff.py").exists()


def test_no_line_of_the_summary_is_wider_than_80_columns_save_for_names_of_folders(kept):
    summary = kept.ended.err[kept.ended.err.index("Done in") :].replace(str(kept.folder), "/tmp/gatewright-demo")
    assert [line for line in summary.splitlines() if len(line) > 80] == []


def test_the_hints_can_be_pasted(kept):
    look, verify = (kept.paste(kept.hint(name)) for name in ("Look", "Verify"))
    assert look.returncode == 0
    assert "pay/backoff.py" in look.stdout
    assert verify.returncode == 0, verify.stdout + verify.stderr


def test_tampering_as_the_hint_says_is_found_and_the_record_named(kept):
    tamper, verify = kept.hint("Tamper"), kept.hint("Verify")
    journal = next(kept.folder.glob("change/.gatewright/tasks/*/audit/0000.jsonl"))
    number = next(json.loads(line)["seq"] for line in journal.read_text().splitlines() if '"verdict":"failed"' in line)
    assert kept.paste(tamper).returncode == 0
    found = kept.paste(verify)
    assert found.returncode == 1
    assert f"record {number} (qa.verdict" in found.stdout
    undo = re.search(r"git -C \S+ restore \.", kept.ended.err)
    assert undo
    assert kept.paste(undo[0]).returncode == 0
    assert kept.paste(verify).returncode == 0


def test_nothing_else_is_left_anywhere(kept):
    assert sorted(path.name for path in kept.folder.iterdir()) == ["change", "data", "repo", "trust.json"]
    assert kept.machine.leftovers() == []
    assert list(kept.machine.home.iterdir()) == []


def test_every_attempt_ended_tidily(kept):
    assert (kept.folder / "data/worker.log").read_text() == ""


@pytest.mark.parametrize("kind", ["folder", "file"])
def test_it_keeps_nothing_where_something_is(machine, kind):
    there = machine.folder / "mine"
    if kind == "folder":
        there.mkdir()
        (there / "thesis.txt").write_text("years of work")
    else:
        there.write_text("years of work")
    ended = machine.run("demo", "--yes", "--keep", str(there))
    assert ended.code == 2
    assert ended.err.startswith("error[GW-DEMO-KEEP]")
    assert "fix: " in ended.err
    assert (there / "thesis.txt" if kind == "folder" else there).read_text() == "years of work"


def test_an_unknown_model_is_refused_before_anything_is_made(machine):
    ended = machine.run("demo", "--yes", "--model", "sonet")
    assert ended.code == 2
    assert "error[GW-MODEL-FORM]" in ended.err
    assert machine.leftovers() == []


def test_a_profile_that_there_is_not_is_refused_before_anything_is_made(machine):
    ended = machine.run("demo", "--yes", "--profile", "fast")
    assert ended.code == 2
    assert "error[GW-PROFILE-UNKNOWN]" in ended.err
    assert machine.leftovers() == []


def test_at_a_terminal_every_gate_asks(machine):
    with machine.terminal("demo") as person:
        person.expect("AC-1: A refused connection")  # rendered: no asterisks
        person.expect("4 acceptance criteria, 1 open question")
        person.expect("(v)iew  (a)pprove  re(j)ect")
        person.type("\n")  # Enter repeats the question
        person.expect("re(j)ect")
        person.type("abort\n")  # no word for anything
        person.expect("re(j)ect")
        person.type("v\n")
        person.expect("Acceptance criteria")
        person.expect("re(j)ect")
        person.type("a\n")
        person.expect("✓ Spec     approved by you, ")
        person.expect("3 steps, 6 files, 1 risk")
        person.expect("re(j)ect")
        person.type("approve\n")
        person.expect("✓ Plan     approved by you, ")
        person.expect("step 1 of 3: Say which errors may be tried again")
        person.expect("✗ QA ")
        person.expect("AC-3 not met")
        person.expect("✓ Fixing ")
        person.expect("✓ QA (2) ")
        person.expect("+ATTEMPTS = 4")
        person.expect("QA report, round 2")
        person.expect("(v)iew diff  (a)pprove  re(j)ect")
        person.type("a\n")
        person.expect("✓ Change   approved by you, ")
        person.expect("exit 0")
        person.expect("of work.")
        person.expect("For real")
        assert person.wait() == 0
        wide = [line for line in person.text.splitlines() if len(line) > 80 and "/" not in line]
        assert wide == []
        assert "**AC-1" not in person.text
    assert machine.leftovers() == []


def test_while_a_phase_runs_the_terminal_shows_what_the_agent_does(machine):
    with machine.terminal("demo", "--yes") as person:
        assert person.wait() == 0
        seen = [line.strip() for line in person.text.splitlines()]
    assert any(line.startswith("read   pay/") for line in seen)
    assert any(line.startswith("run    python3 -m unittest") and line.endswith("exit 0") for line in seen)
    assert any("step 3 of 3: Try again in the client" in line for line in seen)


@pytest.mark.parametrize("word", ["r", "edit"])
def test_recordings_cannot_write_anything_new_and_the_demo_says_so_kindly(machine, word):
    with machine.terminal("demo") as person:
        person.expect("re(j)ect")
        person.type(word + "\n")
        person.expect("Recorded answers know one course only")
        person.expect("re(j)ect")
        person.type("j\n")
        person.expect("why?")
        person.type("not today\n")
        person.expect("✓ Spec     rejected by you")
        person.expect("You ended the task: it is rejected, and main is as it was.")
        assert person.wait() == 1
        assert "error[" not in person.text
    assert machine.leftovers() == []


def test_what_was_typed_before_the_question_approves_nothing(machine):
    with machine.terminal("demo") as person:
        person.expect("Issue 1")
        person.type("a\na\na\n")
        person.expect("re(j)ect")
        with pytest.raises(AssertionError, match="did not come"):
            person.expect("approved by you", seconds=1.5)
        person.type("\x03")
        assert person.wait() == 130


def test_the_end_of_input_leaves_the_question_open(machine):
    with machine.terminal("demo") as person:
        person.expect("re(j)ect")
        person.type("\x04")
        person.expect("The question was left open")
        assert person.wait() == 3
    assert machine.leftovers() == []


@pytest.mark.parametrize("moment", ["re(j)ect", "No model is used"])
def test_ctrl_c_leaves_nothing_behind(machine, moment):
    with machine.terminal("demo") as person:
        person.expect(moment)
        person.type("\x03")
        person.type("\x03")  # impatient: the clean-up is not to be interrupted
        assert person.wait() == 130
        assert "Traceback" not in person.text
    assert machine.leftovers() == []


def test_ctrl_c_while_the_agent_works_leaves_nothing_behind(machine):
    with machine.terminal("demo", "--yes") as person:
        person.expect("step 1 of 3")
        person.type("\x03")
        assert person.wait() == 130
    assert machine.leftovers() == []


def test_it_runs_under_an_ordinary_user(jailed):
    if os.geteuid() != 0:
        pytest.skip("the other tests of this file are run by an ordinary user already")
    # A user namespace of one's own: no root any more, and yet this Python may lie in root's home.
    ordinary = ["bwrap", "--dev-bind", "/", "/", "--unshare-user", "--uid", "1000", "--gid", "1000"]
    if subprocess.run([*ordinary, "true"], check=False, capture_output=True).returncode:
        missing("a bubblewrap that can start")
    with new_machine(prefix=ordinary) as machine:
        ended = machine.run("demo", "--yes", "--keep", str(machine.folder / "kept"))
        assert ended.code == 0, ended.err
        assert machine.leftovers() == []


def test_without_bubblewrap_recordings_play_and_the_lack_is_named(jailed):
    hidden = shutil.which("bwrap")
    assert hidden
    bare = ["bwrap", "--dev-bind", "/", "/", "--ro-bind", "/dev/null", hidden]  # bubblewrap hides bubblewrap
    if subprocess.run([*bare, "true"], check=False, capture_output=True).returncode:
        missing("a bubblewrap that can start")
    with new_machine(prefix=bare) as machine:
        ended = machine.run("demo", "--yes")
        assert ended.code == 0, ended.err
        assert "run WITHOUT a sandbox: not installed: bwrap (apt install bubblewrap)" in " ".join(ended.err.split())
        assert "3 of 3 steps WITHOUT a sandbox" in ended.err
        assert "criteria met, 11 passed, tests exit 0, WITHOUT a sandbox" in ended.err
        assert "in a sandbox" not in ended.err
        refused = machine.run("demo", "--yes", "--model", "here:toy", env=_endpoint())
        assert refused.code == 2
        assert "error[GW-SANDBOX-START]" in refused.err


def test_what_is_at_hand_is_offered(machine):
    with machine.terminal("demo", env={"ANTHROPIC_API_KEY": "sk-ant-toy"}) as person:
        person.expect("ANTHROPIC_API_KEY is set")
        person.expect("gatewright demo --model sonnet")
        assert "sk-ant-toy" not in person.text
        person.type("\x03")
        assert person.wait() == 130


def test_the_two_halves_fit_together():
    assert Runners.__struct_fields__ == ("resolve", "why_no_jail")


def _endpoint() -> dict[str, str]:
    return {"GATEWRIGHT_ENDPOINTS__HERE__BASE_URL": "http://127.0.0.1:9/v1", "GATEWRIGHT_ENDPOINTS__HERE__API_KEY": "x"}
