"""The hook on a server, with real pushes: what people let pass comes in, and nothing that looks like it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bot.audit import kinds, layout
from bot.audit.chain import genesis
from bot.model.state import Gate
from tests.bot.audit.story import MIRA, TASK, Story, git
from tests.conftest import ROOT

HOOK = ROOT / "deploy" / "pre-receive"
BRANCH = f"gatewright/{TASK}-retry"
AUDIT = f"refs/gatewright/audit/{TASK}"


class Server:
    """A bare repository with the hook, and somebody's clone of the task's repository."""

    def __init__(self, root: Path, story: Story) -> None:
        self.story = story
        self.repo = story.repo
        self.git_dir = root / "server.git"
        git(root, "init", "-q", "--bare", "-b", "main", str(self.git_dir))
        git(self.git_dir, "config", "receive.denyDeletes", "false")
        git(self.git_dir, "fetch", "-q", str(story.repo), "main:main")
        shutil.copy(HOOK, self.git_dir / "hooks" / "pre-receive")
        git(self.repo, "remote", "add", "origin", str(self.git_dir))
        self.env = {"PATH": os.environ["PATH"], "HOME": str(root), "GIT_CONFIG_NOSYSTEM": "1"}

    def push(self, *what: str, **env: str) -> str:
        """Push, and give what the server said; empty where it took it."""
        done = subprocess.run(
            ["git", "-C", str(self.repo), "push", "origin", *what],
            env=self.env | env, capture_output=True, text=True, check=False,
        )  # fmt: skip
        said = [line.partition("GL-HOOK-ERR: ")[2] for line in done.stderr.splitlines() if "GL-HOOK-ERR" in line]
        assert bool(done.returncode) is bool(said), done.stderr
        return " ".join(said)

    def publish(self, *, audit: bool = True) -> None:
        """Let the bot push its branch and its audit trail, as it does before and after people are asked."""
        self.story.archive()
        assert self.push(BRANCH) == ""
        assert not audit or self.push(AUDIT) == ""

    def merge(self, *how: str) -> str:
        """Merge the branch into main here, and give the commit."""
        git(self.repo, "switch", "-q", "main")
        git(self.repo, "merge", "-q", *(how or ("--no-ff", "-m", "Merge")), BRANCH)
        return git(self.repo, "rev-parse", "HEAD")


@pytest.fixture
def asked(tmp_path: Path) -> Story:
    """The change was published and nobody has let it pass."""
    return Story(tmp_path / "story").until_change_review()


@pytest.fixture
def approved(asked: Story) -> Story:
    asked.approve(Gate.CHANGE)
    return asked


@pytest.fixture
def served(tmp_path: Path) -> Callable[[Story], Server]:
    return lambda story: Server(tmp_path, story)


def test_the_hook_is_a_program_without_our_code() -> None:
    assert HOOK.stat().st_mode & 0o111
    assert not [line for line in HOOK.read_text().splitlines() if line.startswith(("import bot", "from bot"))]


def test_what_was_let_pass_is_merged(approved: Story, served: Callable[[Story], Server]) -> None:
    server = served(approved)
    server.publish()
    tip = server.merge()
    assert server.push("main") == ""
    assert git(server.git_dir, "rev-parse", "main") == tip


def test_a_fast_forward_is_a_merge_too(approved: Story, served: Callable[[Story], Server]) -> None:
    server = served(approved)
    server.publish()
    server.merge("--ff-only")
    assert server.push("main") == ""
    approved.commit({"later.py": b"x"}, "Later")
    assert server.push("main") == "", "what comes afterwards is nobody's task"


def test_main_may_have_moved_on(approved: Story, served: Callable[[Story], Server]) -> None:
    server = served(approved)
    server.publish()
    git(server.repo, "switch", "-q", "main")
    approved.commit({"other.py": b"x = 1\n"}, "Somebody else's")
    assert server.push("main") == ""
    server.merge()
    assert server.push("main") == ""


def test_the_audit_trail_may_be_a_branch(approved: Story, served: Callable[[Story], Server]) -> None:
    server = served(approved)
    server.publish(audit=False)
    assert server.push(f"{AUDIT}:refs/heads/gatewright-audit/{TASK}") == ""
    server.merge()
    assert server.push("main") == ""


def test_one_commit_with_the_very_same_source_is_taken(approved: Story, served: Callable[[Story], Server]) -> None:
    """Squashed where nothing else came in between: trailers are gone, evidence is there."""
    server = served(approved)
    server.publish()
    git(server.repo, "switch", "-q", "main")
    git(server.repo, "merge", "-q", "--squash", BRANCH)
    git(server.repo, "commit", "-q", "-m", "Squashed")
    assert server.push("main") == ""


def test_pushes_that_bring_no_task_are_nothing_to_it(asked: Story, served: Callable[[Story], Server]) -> None:
    server = served(asked)
    git(server.repo, "switch", "-q", "main")
    asked.commit({"a.py": b"a"}, "A person's own\n\nwith words: Gatewright is about tasks")
    assert server.push("main", "main:feature") == ""
    assert server.push(":feature") == ""


def test_a_branch_that_nobody_guards_takes_everything(asked: Story, served: Callable[[Story], Server]) -> None:
    server = served(asked)
    assert server.push(BRANCH, f"{BRANCH}:wild") == ""


def test_what_nobody_let_pass_is_refused(asked: Story, served: Callable[[Story], Server]) -> None:
    server = served(asked)
    server.publish()
    server.merge()
    said = server.push("main")
    assert TASK in said
    assert "nobody has approved this change" in said


def test_a_vote_is_no_ruling(asked: Story, served: Callable[[Story], Server]) -> None:
    asked.vote(Gate.CHANGE)
    server = served(asked)
    server.publish()
    server.merge()
    assert "nobody has approved" in server.push("main")


def test_a_ruling_that_did_not_pass_is_none(asked: Story, served: Callable[[Story], Server]) -> None:
    asked.vote(Gate.CHANGE)
    assert not asked.rule(Gate.CHANGE, is_head=False).passed
    server = served(asked)
    server.publish()
    server.merge()
    assert "nobody has approved" in server.push("main")


def test_a_ruling_on_another_gate_is_none(asked: Story, served: Callable[[Story], Server]) -> None:
    asked.rule(Gate.PLAN, "execution")
    server = served(asked)
    server.publish()
    server.merge()
    assert "nobody has approved" in server.push("main")


@pytest.mark.parametrize(
    "data",
    [
        kinds.ApprovalWithdrawn("change", "a" * 64, "pushed"),
        kinds.IssueChanged("a" * 64, 1),
        kinds.BaseMoved("a" * 40),
        kinds.ShownEdited("change", 1, "5"),
        kinds.CommitForeign("a" * 40, "b" * 40, 7),
        kinds.TaskClosed("rejected"),
    ],
)
def test_a_yes_that_was_voided_since_is_none(
    approved: Story, served: Callable[[Story], Server], data: kinds.Data
) -> None:
    kind = next(name for name, shape in kinds.KINDS.items() if shape is type(data))
    approved.add(kind, data)
    server = served(approved)
    server.publish()
    server.merge()
    assert "nobody has approved" in server.push("main")


@pytest.mark.parametrize(
    "data",
    [
        kinds.ApprovalWithdrawn("plan", "a" * 64, "revised"),
        kinds.ShownEdited("spec", 1, "5"),
        kinds.CommitForeign("a" * 40, "b" * 40, 7, is_same_tree=True),
        kinds.TaskClosed("done", "merged"),
    ],
)
def test_what_concerns_something_else_voids_nothing(
    approved: Story, served: Callable[[Story], Server], data: kinds.Data
) -> None:
    kind = next(name for name, shape in kinds.KINDS.items() if shape is type(data))
    approved.add(kind, data)
    server = served(approved)
    server.publish()
    server.merge()
    assert server.push("main") == ""


def test_another_question_after_the_yes_voids_it(approved: Story, served: Callable[[Story], Server]) -> None:
    head = git(approved.repo, "rev-parse", "HEAD")
    approved.ask(Gate.CHANGE, 2, b"another", source=approved.source(head), head=head)
    server = served(approved)
    server.publish()
    server.merge()
    assert "nobody has approved" in server.push("main")


def test_without_an_audit_trail_nothing_is_taken(approved: Story, served: Callable[[Story], Server]) -> None:
    server = served(approved)
    server.publish(audit=False)
    server.merge()
    assert "no audit trail" in server.push("main")


def test_without_evidence_nothing_is_taken(approved: Story, served: Callable[[Story], Server]) -> None:
    """Nor where it was taken out on the way."""
    server = served(approved)
    server.publish()
    git(server.repo, "switch", "-q", "main")
    git(server.repo, "merge", "-q", "--no-ff", "--no-commit", BRANCH)
    git(server.repo, "rm", "-rfq", ".gatewright")
    git(server.repo, "commit", "-q", "-m", "Merge")
    assert "not in the pushed tree" in server.push("main")


def test_a_trailer_alone_is_refused(asked: Story, served: Callable[[Story], Server]) -> None:
    server = served(asked)
    git(server.repo, "switch", "-q", "main")
    asked.commit({"a.py": b"a"}, "Work\n\nGatewright-Task: 7-aaaaaa")
    assert "7-aaaaaa" in server.push("main")
    git(server.repo, "reset", "-q", "--hard", "HEAD~1")
    asked.commit({"a.py": b"a"}, "Work\n\nGatewright-Task: ../../etc")
    assert "this is no task" in server.push("main")


def test_a_commit_on_top_of_what_was_approved_is_refused(approved: Story, served: Callable[[Story], Server]) -> None:
    server = served(approved)
    server.publish()
    approved.commit({"pay.py": b"steal()\n"}, "One more thing")
    assert server.push(BRANCH) == ""
    server.merge()
    assert "lies on top of what was approved" in server.push("main")


def test_work_under_its_name_beside_it_is_refused(approved: Story, served: Callable[[Story], Server]) -> None:
    server = served(approved)
    server.publish()
    server.merge()
    approved.commit({"pay.py": b"steal()\n"}, f"More\n\nGatewright-Task: {TASK}")
    assert "was not part of what was approved" in server.push("main")


def test_a_merge_that_holds_something_of_its_own_is_refused(approved: Story, served: Callable[[Story], Server]) -> None:
    server = served(approved)
    server.publish()
    git(server.repo, "switch", "-q", "main")
    git(server.repo, "merge", "-q", "--no-ff", "--no-commit", BRANCH)
    (server.repo / "pay.py").write_bytes(b"steal()\n")
    git(server.repo, "add", "-A")
    git(server.repo, "commit", "-q", "-m", "Merge")
    assert "holds something that no side has" in server.push("main")


@pytest.mark.parametrize("is_old", [False, True])
def test_a_merge_where_both_sides_changed_one_file_is_taken(
    asked: Story, served: Callable[[Story], Server], is_old: bool
) -> None:
    """Also by a git that cannot merge without a work tree."""
    head = asked.commit({"README": b"top\npay\n"}, f"Work\n\nGatewright-Task: {TASK}")
    asked.ask(Gate.CHANGE, 2, b"x", source=asked.source(head), head=head)
    asked.approve(Gate.CHANGE)
    server = served(asked)
    server.publish()
    git(server.repo, "switch", "-q", "main")
    asked.commit({"README": b"pay\nbottom\n"}, "Somebody else's")
    assert server.push("main") == ""
    server.merge()
    assert (server.repo / "README").read_bytes() == b"top\npay\nbottom\n"
    if is_old:
        hook = server.git_dir / "hooks" / "pre-receive"
        hook.write_text(HOOK.read_text().replace('"merge-tree", "--write-tree"', '"merge-tree", "--unknown"'))
    assert server.push("main") == ""


def test_another_source_in_one_commit_is_refused(approved: Story, served: Callable[[Story], Server]) -> None:
    server = served(approved)
    server.publish()
    git(server.repo, "switch", "-q", "main")
    git(server.repo, "merge", "-q", "--squash", BRANCH)
    (server.repo / "pay.py").write_bytes(b"steal()\n")
    git(server.repo, "add", "-A")
    git(server.repo, "commit", "-q", "-m", "Squashed")
    assert "another source than was approved" in server.push("main")


def test_objects_that_were_put_in_place_of_others_deceive_nobody(
    approved: Story, served: Callable[[Story], Server]
) -> None:
    """`git show` would follow them without a word."""
    server = served(approved)
    server.publish()
    good = git(server.repo, "rev-parse", f"{BRANCH}:pay.py")
    git(server.repo, "switch", "-q", "main")
    git(server.repo, "merge", "-q", "--squash", BRANCH)
    (server.repo / "pay.py").write_bytes(b"steal()\n")
    git(server.repo, "add", "-A")
    git(server.repo, "commit", "-q", "-m", "Squashed")
    git(server.repo, "replace", git(server.repo, "rev-parse", "HEAD:pay.py"), good)
    assert server.push("refs/replace/*:refs/replace/*") == ""
    assert "another source than was approved" in server.push("main")


def test_a_file_that_hides_among_the_evidence_is_refused(asked: Story, served: Callable[[Story], Server]) -> None:
    """The source digest does not look there."""
    head = asked.commit({f".gatewright/tasks/{TASK}/conftest.py": b"steal()\n"}, "Evidence")
    asked.ask(Gate.CHANGE, 2, b"x", source=asked.source(head), head=head)
    asked.approve(Gate.CHANGE)
    server = served(asked)
    server.publish()
    server.merge()
    assert "conftest.py is no part of the evidence" in server.push("main")


def test_a_link_among_the_evidence_is_refused(asked: Story, served: Callable[[Story], Server]) -> None:
    (asked.directory / "qa.md").unlink(missing_ok=True)
    (asked.directory / "qa.md").symlink_to("/etc/passwd")
    head = asked.commit({}, "Evidence")
    asked.ask(Gate.CHANGE, 2, b"x", source=asked.source(head), head=head)
    asked.approve(Gate.CHANGE)
    server = served(asked)
    server.publish()
    server.merge()
    assert "no plain file" in server.push("main")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda lines: lines[:5] + lines[6:], "no chain at record 5"),
        (lambda lines: [*lines[:-1], lines[-1].replace(b'"passed":true', b'"passed": true')], "not in canonical form"),
        (lambda lines: [*lines[:-2], lines[-1]], "no chain"),
        (lambda lines: lines[1:], "does not begin with its opening"),
        (lambda lines: [*lines, b"{}"], "not in canonical form"),
        (lambda lines: [*lines, b"\xff"], "cannot be read"),
        (lambda lines: [*lines, b"[" * 5_000], "cannot be read"),
        (lambda lines: [], "two stories"),
    ],
)
def test_a_trail_that_is_no_chain_is_refused(
    approved: Story, served: Callable[[Story], Server], change: Callable[[list[bytes]], list[bytes]], said: str
) -> None:
    """Somebody rewrote the trail alone, as they can who may push it."""
    approved.lines = change(list(approved.lines))
    server = served(approved)
    server.publish()
    server.merge()
    assert said in server.push("main")


def test_a_chain_written_anew_is_another_story(asked: Story, served: Callable[[Story], Server]) -> None:
    """Somebody without the bot's account writes the yes themselves, and forgets what lies in the branch already."""
    asked.approve(Gate.CHANGE)

    def earlier(records: list[dict[str, Any]]) -> None:
        records[3]["ts"] += 1

    asked.lines = asked.forge(earlier)
    server = served(asked)
    server.publish()
    server.merge()
    assert "two stories" in server.push("main")


def test_both_trails_have_to_agree(approved: Story, served: Callable[[Story], Server]) -> None:
    server = served(approved)
    server.publish()
    whole = approved.lines
    approved.lines = approved.forge(lambda records: records[3].update(ts=records[3]["ts"] + 1))
    approved.archive()
    assert server.push(f"{AUDIT}:refs/heads/gatewright-audit/{TASK}") == ""
    approved.lines = whole
    server.merge()
    assert "two stories" in server.push("main")


def test_another_tasks_trail_is_none(approved: Story, served: Callable[[Story], Server]) -> None:
    """Renaming its folder does not make it another's."""
    server = served(approved)
    server.publish()
    git(server.repo, "switch", "-q", "main")
    other = "43-aaaaaa"
    files = {
        name.replace(TASK, other): content for name, content in layout.evidence_files(TASK, approved.lines, {}).items()
    }
    approved.commit(files, f"Work\n\nGatewright-Task: {other}")
    assert "does not begin with its opening" in server.push("main")


def test_another_repositorys_evidence_is_none(approved: Story, served: Callable[[Story], Server]) -> None:
    """By what the administrator says, and on GitLab by the number that it passes to hooks."""
    server = served(approved)
    server.publish()
    server.merge()
    assert "another repository, github:github.com:7" in server.push("main", GL_REPOSITORY="project-8")
    git(server.git_dir, "config", "gatewright.repo", "github:github.com:8")
    assert "another repository" in server.push("main")
    git(server.git_dir, "config", "gatewright.repo", "github:github.com:7")
    assert server.push("main", GL_REPOSITORY="project-7") == ""


def test_the_genesis_is_the_one_that_is_described(approved: Story) -> None:
    first = json.loads(approved.lines[0])
    assert first["prev"] == genesis("gw-test", "github:github.com:7", TASK)


def test_audit_trails_only_grow(approved: Story, served: Callable[[Story], Server]) -> None:
    server = served(approved)
    server.publish()
    first = git(server.git_dir, "rev-parse", AUDIT)
    assert "only ever grows" in server.push(f":{AUDIT}")
    git(server.repo, "update-ref", AUDIT, "HEAD")
    assert "only ever grows" in server.push(f"+{AUDIT}")
    assert git(server.git_dir, "rev-parse", AUDIT) == first


def test_audit_trails_are_the_bots_where_it_is_named(approved: Story, served: Callable[[Story], Server]) -> None:
    server = served(approved)
    git(server.git_dir, "config", "gatewright.account", "user-42")
    approved.archive()
    assert server.push(BRANCH) == ""
    for account in ({}, {"GL_ID": "user-7"}, {"GL_ID": "user-421"}):
        assert "by the bot alone" in server.push(AUDIT, **account)
    assert "by the bot alone" in server.push(f"{AUDIT}:refs/heads/gatewright-audit/{TASK}", GL_ID="user-7")
    assert server.push(AUDIT, GL_ID="user-42") == ""
    server.merge()
    assert server.push("main", GL_ID="user-7") == ""


def test_the_branches_it_guards_can_be_named(asked: Story, served: Callable[[Story], Server]) -> None:
    server = served(asked)
    git(server.git_dir, "config", "--add", "gatewright.protected", "release/*")
    git(server.git_dir, "config", "--add", "gatewright.protected", "stable")
    server.publish()
    server.merge()
    assert server.push("main") == "", "no longer the default"
    for branch in ("release/1", "stable"):
        assert "nobody has approved" in server.push(f"main:refs/heads/{branch}")
    assert server.push("main:refs/heads/releases") == ""


def test_what_one_protected_branch_took_another_takes(approved: Story, served: Callable[[Story], Server]) -> None:
    server = served(approved)
    git(server.git_dir, "config", "--add", "gatewright.protected", "main")
    git(server.git_dir, "config", "--add", "gatewright.protected", "release/*")
    server.publish()
    base = git(server.repo, "rev-parse", "main")
    assert server.push(f"{base}:refs/heads/release/1") == ""
    server.merge()
    assert server.push("main") == ""
    git(server.repo, "switch", "-q", "-c", "release/1", base)
    approved.commit({"fix.py": b"x"}, "A fix for the release")
    git(server.repo, "merge", "-q", "--no-ff", "-m", "Take main", "main")
    assert server.push("release/1") == ""


def test_a_revert_keeps_the_evidence(approved: Story, served: Callable[[Story], Server]) -> None:
    server = served(approved)
    server.publish()
    server.merge()
    assert server.push("main") == ""
    git(server.repo, "revert", "--no-edit", "-m", "1", "HEAD")
    assert "a revert has to leave it there" in server.push("main")
    git(server.repo, "checkout", "-q", "HEAD~1", "--", ".gatewright")
    git(server.repo, "commit", "-q", "--amend", "-m", "Take it back")
    assert server.push("main") == ""


def test_evidence_that_lies_there_is_not_changed_later(approved: Story, served: Callable[[Story], Server]) -> None:
    server = served(approved)
    server.publish()
    server.merge()
    assert server.push("main") == ""
    approved.approve(Gate.CHANGE, MIRA)
    lines = approved.forge(lambda records: records[3].update(ts=records[3]["ts"] + 1))
    approved.commit(layout.evidence_files(TASK, lines, {}), "Tidy")
    assert "two stories" in server.push("main")


def test_a_server_where_git_fails_says_no(approved: Story, served: Callable[[Story], Server]) -> None:
    server = served(approved)
    server.publish()
    server.merge()
    hook = server.git_dir / "hooks" / "pre-receive"
    hook.write_text(HOOK.read_text().replace('("git",) + words', '("git-gone",) + words'))
    assert "could not be judged" in server.push("main")
