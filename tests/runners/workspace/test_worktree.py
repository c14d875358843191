"""One task's tree: what the agent sees, what the worker commits, and what is pushed."""

from __future__ import annotations

import hashlib
import os
import stat

import pytest

from bot.forges.protocol import GitAccess
from runners.workspace.git import GitError
from runners.workspace.patch import Caps, PatchRefused, Rule, review
from runners.workspace.worktree import Worktree
from tests.runners.workspace.kit import OWNER, names, serve, sh

ACCESS = GitAccess("x-access-token", "s3cr3t-tok3n", 0)
EVIDENCE = ".gatewright/tasks/7-zzzzzz/qa.md"


def tree_of(source, commit: str) -> set[str]:
    return set(source.git(f"ls-tree -r --name-only {commit}").splitlines())


async def pushed(worktree: Worktree, source, commit: str) -> None:
    await worktree.push(str(source.path), None, f"{commit}:refs/heads/gatewright/1-aaaaaa")


@pytest.fixture
def judged(source) -> str:
    """A base commit that already holds another task's evidence."""
    return source.commit({EVIDENCE: "passed\n"})


async def test_the_tree_is_the_base_and_clean_for_git_inside(worktree):
    assert names(worktree.path) == [".git", "calc.py", "docs"]
    status = sh(
        "git -c safe.directory='*' status --porcelain; git -c safe.directory='*' log --format=%s", worktree.path
    )
    assert status.stdout == "first\n"


async def test_the_tree_is_the_jails_and_our_git_directory_is_ours_alone(worktree):
    found = worktree.path.stat()
    assert found.st_uid == (os.geteuid() if OWNER is None else OWNER)
    assert stat.S_IMODE(found.st_mode) == 0o700
    assert all(p.lstat().st_uid == found.st_uid for p in worktree.path.rglob("*"))
    ours = (worktree.directory / "git").stat()
    assert (ours.st_uid, stat.S_IMODE(ours.st_mode)) == (os.geteuid(), 0o700)


async def test_a_base_that_is_not_there_is_named(mirror, work):
    with pytest.raises(GitError, match="GW-GIT-BASE"):
        await Worktree.create(mirror, work / "t", "0" * 40)


async def test_changes_are_described_by_file_with_counts_and_a_diff(worktree):
    (worktree.path / "calc.py").write_text("def add(a, b):\n    return a + b\n")
    (worktree.path / "new.bin").write_bytes(b"\0\1\2")
    (worktree.path / "docs/read.me").unlink()
    patch = await worktree.changes()
    assert [(c.status, c.path, c.added, c.deleted) for c in patch.files] == [
        ("M", "calc.py", 1, 1), ("D", "docs/read.me", 0, 1), ("A", "new.bin", None, None),
    ]  # fmt: skip
    assert (patch.added, patch.deleted) == (1, 2)
    assert "+    return a + b" in patch.text
    assert "Binary files /dev/null and b/new.bin differ" in patch.text
    assert review(patch) == []


async def test_a_diff_is_cut_where_it_gets_too_long(worktree):
    (worktree.path / "long").write_text("a line of text\n" * 60_000)
    patch = await worktree.changes()
    assert patch.truncated
    assert patch.files[0].added == 60_000


async def test_attributes_of_the_tree_cannot_hide_a_change(worktree):
    (worktree.path / ".gitattributes").write_text("* -diff binary\n")
    (worktree.path / "calc.py").write_text("EVIL\n")
    assert "+EVIL" in (await worktree.changes()).text


async def test_a_commit_has_message_trailers_author_and_parent(worktree, source):
    (worktree.path / "new").write_text("n")
    base = worktree.head
    made = await worktree.commit(
        "Add new\n\nBecause.",
        author="Ann <ann@example.org>",
        trailers={"Gatewright-Task": "1-aaaaaa", "Gatewright-Step": "1"},
    )
    assert made is not None
    assert (made.parent, worktree.head) == (base, made.commit)
    await pushed(worktree, source, made.commit)
    shown = source.git(f"log -1 --format='%an|%ce|%T|%P|%(trailers:unfold,separator=%x2C)' {made.commit}")
    assert shown == f"Ann|gatewright@localhost|{made.tree}|{base}|Gatewright-Task: 1-aaaaaa,Gatewright-Step: 1"
    assert source.git(f"log -1 --format=%b {made.commit}").startswith("Because.")


async def test_nothing_changed_is_no_commit(worktree):
    assert await worktree.commit("nothing") is None


async def test_steps_follow_each_other_and_each_starts_clean_for_the_agent(worktree):
    (worktree.path / "one").write_text("1")
    first = await worktree.commit("one")
    assert sh("git -c safe.directory='*' status --porcelain", worktree.path).stdout == ""
    (worktree.path / "two").write_text("2")
    assert sh("git -c safe.directory='*' status --porcelain", worktree.path).stdout == "?? two\n"
    second = await worktree.commit("two")
    assert second.parent == first.commit
    assert sh("git -c safe.directory='*' fsck", worktree.path).returncode == 0


async def test_what_the_agent_committed_itself_is_taken_as_changes(worktree):
    sh("git -c safe.directory='*' checkout -q -b mine && echo x > mine && git -c safe.directory='*' add -A"
       " && git -c safe.directory='*' commit -qm mine && rm calc.py", worktree.path)  # fmt: skip
    patch = await worktree.changes()
    assert [(c.status, c.path) for c in patch.files] == [("D", "calc.py"), ("A", "mine")]


async def test_ignored_files_are_left_out(worktree):
    (worktree.path / ".gitignore").write_text("build/\n")
    (worktree.path / "build").mkdir()
    (worktree.path / "build/out").write_text("x")
    assert [c.path for c in (await worktree.changes()).files] == [".gitignore"]


async def test_a_file_becomes_a_folder_and_a_folder_a_file(worktree):
    (worktree.path / "calc.py").unlink()
    (worktree.path / "calc.py").mkdir()
    (worktree.path / "calc.py/part").write_text("p")
    sh("rm -r docs && echo text > docs", worktree.path)
    made = await worktree.commit("swap")
    assert {p for p, _, _ in await worktree.source_entries(made.commit)} == {b"calc.py/part", b"docs"}


async def test_evidence_never_appears_in_the_tree_and_stays_in_commits(mirror, work, judged, source):
    await mirror.fetch()
    worktree = await Worktree.create(mirror, work / "t", judged, owner=OWNER)
    assert not (worktree.path / ".gatewright").exists()
    assert sh("git -c safe.directory='*' status --porcelain", worktree.path).stdout == ""
    (worktree.path / "new").write_text("n")
    made = await worktree.commit("step")
    await pushed(worktree, source, made.commit)
    assert tree_of(source, made.commit) == {EVIDENCE, "calc.py", "docs/read.me", "new"}
    assert source.git(f"show {made.commit}:{EVIDENCE}") == "passed"


async def test_evidence_that_an_agent_writes_is_refused(worktree):
    (worktree.path / ".gatewright/tasks/1-aaaaaa").mkdir(parents=True)
    (worktree.path / ".gatewright/tasks/1-aaaaaa/qa.md").write_text("passed\n")
    with pytest.raises(PatchRefused) as caught:
        await worktree.commit("step")
    assert [f.rule for f in caught.value.findings] == [Rule.EVIDENCE]


async def test_an_agent_can_mend_what_was_refused(worktree):
    (worktree.path / "bad").symlink_to("/etc/passwd")
    with pytest.raises(PatchRefused):
        await worktree.commit("step")
    (worktree.path / "bad").unlink()
    (worktree.path / "good").write_text("g")
    made = await worktree.commit("step")
    assert {p for p, _, _ in await worktree.source_entries(made.commit)} == {b"calc.py", b"docs/read.me", b"good"}


async def test_a_file_beyond_the_cap_is_never_read_into_the_repository(mirror, work, source):
    worktree = await Worktree.create(mirror, work / "t", source.git("rev-parse HEAD"), caps=Caps(file_bytes=1000))
    with (worktree.path / "big").open("wb") as file:
        file.truncate(1 << 30)
    patch = await worktree.changes()
    assert [(s.rule, s.path) for s in patch.strays] == [(Rule.SIZE, "big")]
    assert patch.files == ()


async def test_evidence_is_committed_beside_the_work_without_the_tree(worktree, source):
    (worktree.path / "new").write_text("n")
    step = await worktree.commit("step")
    made = await worktree.write_files({".gatewright/tasks/1-aaaaaa/spec.md": b"# Spec\n"}, step.commit, "evidence")
    assert (made.parent, worktree.head) == (step.commit, made.commit)
    assert not (worktree.path / ".gatewright").exists()
    assert await worktree.read(made.commit, ".gatewright/tasks/1-aaaaaa/spec.md") == b"# Spec\n"
    assert await worktree.changes() == await worktree.changes()
    assert (await worktree.changes()).empty
    (worktree.path / "new").write_text("more")
    after = await worktree.commit("fix")
    assert await worktree.read(after.commit, ".gatewright/tasks/1-aaaaaa/spec.md") == b"# Spec\n"
    assert "evidence" not in sh("git -c safe.directory='*' log --format=%s%b", worktree.path).stdout


@pytest.mark.parametrize("path", ["../x", "/x", "a/../b", ".git/config", ".gatewright/tasks/../../x", "a//b", ""])
async def test_our_own_files_have_plain_paths(worktree, path):
    with pytest.raises(Exception, match="GW-WORKSPACE-PATH"):
        await worktree.write_files({path: b""}, worktree.head, "evidence")


async def test_the_archive_holds_these_files_only_and_grows_on_its_own_ref(worktree, source):
    url, ref = str(source.path), "refs/gatewright/audit/1-aaaaaa"
    first = await worktree.archive({".gatewright/tasks/1-aaaaaa/a": b"1"}, ref, url, None, "audit")
    await worktree.push(url, None, f"{first.commit}:{ref}")
    again = await worktree.archive({".gatewright/tasks/1-aaaaaa/a": b"1"}, ref, url, None, "audit")
    assert again.commit == first.commit
    second = await worktree.archive({".gatewright/tasks/1-aaaaaa/a": b"12"}, ref, url, None, "audit")
    assert second.parent == first.commit
    await worktree.push(url, None, f"{second.commit}:{ref}")
    assert source.git(f"log --format=%H {ref}").split() == [second.commit, first.commit]
    assert tree_of(source, ref) == {".gatewright/tasks/1-aaaaaa/a"}


@pytest.mark.parametrize("ref", ["refs/heads/gatewright/1-aaaaaa", "refs/gatewright/audit/1-aaaaaa"])
async def test_a_push_never_overwrites(worktree, mirror, work, source, ref):
    (worktree.path / "one").write_text("1")
    made = await worktree.commit("one")
    await worktree.push(str(source.path), None, f"{made.commit}:{ref}")
    other = await Worktree.create(mirror, work / "other", worktree.base, owner=OWNER)
    (other.path / "two").write_text("2")
    rival = await other.commit("two")
    with pytest.raises(GitError) as caught:
        await other.push(str(source.path), None, f"{rival.commit}:{ref}")
    assert caught.value.code == "GW-GIT-REJECTED"
    assert source.git(f"rev-parse {ref}") == made.commit


async def test_a_hook_of_the_forge_that_says_no_is_a_rejection_with_its_reason(worktree, source):
    hook = source.path / ".git/hooks/update"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\necho branch is protected >&2\nexit 1\n")
    hook.chmod(0o755)
    (worktree.path / "one").write_text("1")
    made = await worktree.commit("one")
    with pytest.raises(GitError) as caught:
        await pushed(worktree, source, made.commit)
    assert caught.value.code == "GW-GIT-REJECTED"
    assert "hook declined" in caught.value.why


def _noting_options(source) -> None:
    hook = source.path / ".git/hooks/post-receive"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text('#!/bin/sh\necho "${GIT_PUSH_OPTION_COUNT:-0}:$GIT_PUSH_OPTION_0" > options\n')
    hook.chmod(0o755)


@pytest.mark.parametrize(("takes", "seen"), [("true", "1:ci.skip"), ("false", "0:")])
async def test_push_options_reach_a_forge_that_takes_them_and_stop_no_push_to_another(worktree, source, takes, seen):
    source.git(f"config receive.advertisePushOptions {takes}")
    _noting_options(source)
    (worktree.path / "one").write_text("1")
    made = await worktree.commit("one")
    ref = "refs/heads/gatewright/1-aaaaaa"
    await worktree.push(str(source.path), None, f"{made.commit}:{ref}", "ci.skip")
    assert source.git(f"rev-parse {ref}") == made.commit
    assert (source.path / ".git/options").read_text().strip() == seen


async def test_a_push_that_fails_for_another_reason_is_not_tried_without_options(worktree, source):
    source.git("config receive.advertisePushOptions true")
    hook = source.path / ".git/hooks/update"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\necho tried >> tries\nexit 1\n")
    hook.chmod(0o755)
    (worktree.path / "one").write_text("1")
    made = await worktree.commit("one")
    with pytest.raises(GitError, match="GW-GIT-REJECTED"):
        await worktree.push(str(source.path), None, f"{made.commit}:refs/heads/x", "ci.skip")
    assert (source.path / ".git/tries").read_text() == "tried\n"


@pytest.mark.parametrize(
    "refspec", ["+HEAD:refs/heads/x", ":refs/heads/main", "HEAD", "a" * 40 + ":main", "a" * 40 + ":refs/heads/*"]
)
async def test_only_plain_refspecs_are_pushed(worktree, source, refspec):
    with pytest.raises(GitError, match="GW-GIT-REFSPEC"):
        await worktree.push(str(source.path), None, refspec)


async def test_a_push_over_http_carries_the_token_in_a_header_and_nowhere_else(worktree, source):
    source.git("config http.receivepack true")
    (worktree.path / "one").write_text("1")
    made = await worktree.commit("one")
    with serve(source.path.parent) as server:
        await worktree.push(server.url, ACCESS, f"{made.commit}:refs/heads/gatewright/x")
        assert all("s3cr3t" not in line for line, _ in server.seen)
    assert source.git("rev-parse gatewright/x") == made.commit
    assert (
        sh("grep -r s3cr3t git tree; git --git-dir=git config --list", worktree.directory).stdout.count("s3cr3t") == 0
    )


async def test_a_checkout_for_qa_is_fresh_and_without_evidence(worktree, work, jail):
    (worktree.path / "new").write_text("n")
    (worktree.path / "ignored.pyc").write_text("poison")
    (worktree.path / ".git/info").mkdir(exist_ok=True)
    (worktree.path / ".gitignore").write_text("*.pyc\n")
    step = await worktree.commit("step")
    made = await worktree.write_files({".gatewright/tasks/1-aaaaaa/qa.md": b"x"}, step.commit, "evidence")
    fresh = await worktree.checkout(made.commit, work / "qa")
    assert names(fresh) == [".git", ".gitignore", "calc.py", "docs", "new"]
    assert fresh.stat().st_uid == (os.geteuid() if OWNER is None else OWNER)


async def test_a_reset_leaves_nothing_of_the_agent(worktree):
    base = worktree.head
    sh("echo x > calc.py; echo y > new; mkdir -p docs/deep/.git; mkfifo pipe; ln -s / root; chmod 0 docs/deep;"
       "echo '*.pyc' > .gitignore; echo z > a.pyc; rm -rf .git; ln -s /etc .git", worktree.path)  # fmt: skip
    await worktree.reset(base)
    assert names(worktree.path) == [".git", "calc.py", "docs"]
    assert (await worktree.changes()).empty
    assert (worktree.path / ".git").is_dir()
    assert not (worktree.path / ".git").is_symlink()


async def test_an_earlier_attempts_worktree_is_taken_up(worktree, mirror):
    (worktree.path / "one").write_text("1")
    made = await worktree.commit("one")
    (worktree.path / "two").write_text("2")
    (worktree.directory / "git/index.lock").touch()
    again = await Worktree.open(mirror, worktree.directory, owner=OWNER)
    assert (again.base, again.head) == (worktree.base, made.commit)
    assert [c.path for c in (await again.changes()).files] == ["two"]
    await again.remove()
    assert await Worktree.open(mirror, worktree.directory) is None
    assert not worktree.directory.exists()


async def test_only_regular_files_are_read_from_a_commit(worktree):
    (worktree.path / "link").symlink_to("calc.py")
    made = await worktree.commit("link")
    assert await worktree.read(made.commit, "calc.py") == b"def add(a, b):\n    return a - b\n"
    assert await worktree.read(made.commit, "link") is None
    assert await worktree.read(made.commit, "docs") is None
    assert await worktree.read(made.commit, "*.py") is None
    assert await worktree.read(made.commit, "../x") is None


async def test_source_entries_name_path_mode_and_content(worktree):
    (worktree.path / "link").symlink_to("calc.py")
    (worktree.path / "run").write_text("#!/bin/sh\n")
    (worktree.path / "run").chmod(0o755)
    made = await worktree.commit("more")
    assert await worktree.source_entries(made.commit) == [
        (path, mode, hashlib.sha256(content).hexdigest())
        for path, mode, content in [
            (b"calc.py", "100644", b"def add(a, b):\n    return a - b\n"),
            (b"docs/read.me", "100644", b"hello\n"),
            (b"link", "120000", b"calc.py"),
            (b"run", "100755", b"#!/bin/sh\n"),
        ]
    ]


async def test_submodules_of_the_base_stay_as_they_are(mirror, work, source):
    source.git("update-index --add --cacheinfo 160000," + "1" * 40 + ",vendored")
    source.git("commit -q -m submodule")
    await mirror.fetch()
    worktree = await Worktree.create(mirror, work / "t", source.git("rev-parse HEAD"), owner=OWNER)
    (worktree.path / "new").write_text("n")
    made = await worktree.commit("step")
    await pushed(worktree, source, made.commit)
    assert f"160000 commit {'1' * 40}\tvendored" in source.git(f"ls-tree {made.commit}")
