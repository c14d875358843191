"""SSH signatures on commits: git itself believes them, whatever the repository says of signing programs."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from bot.model.errors import GatewrightError
from runners.workspace.signature import CommitKey
from runners.workspace.worktree import Worktree

MAIL = "bot@example.org"


def made_key(path: Path) -> Path:
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "bot", "-f", path], check=True)
    return path


@pytest.fixture
def key(tmp_path: Path) -> Path:
    return made_key(tmp_path / "commit-key")


@pytest.fixture
def other(tmp_path: Path) -> Path:
    return made_key(tmp_path / "other-key")


def lose(key: Path) -> None:
    key.unlink()


def open_up(key: Path) -> None:
    key.chmod(0o644)


def link(key: Path) -> None:
    key.rename(key.with_name("moved"))
    key.symlink_to(key.with_name("moved"))


def lock(key: Path) -> None:
    subprocess.run(["ssh-keygen", "-q", "-p", "-P", "", "-N", "words", "-f", key], check=True)


def spoil(key: Path) -> None:
    key.write_text("no key\n")


def shown(worktree: Worktree, commit: str) -> str:
    command = ["git", f"--git-dir={worktree.directory / 'git'}", "show", "-s", "--format=%B|%T|%P", commit]
    return subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout.decode().strip()


def believed(worktree: Worktree, commit: str, key: Path) -> bool:
    """Ask git, as a forge would."""
    signers = key.with_name("allowed")
    signers.write_text(f'{MAIL} namespaces="git" {key.with_suffix(".pub").read_text()}')
    command = ("git", f"--git-dir={worktree.directory / 'git'}", "-c", "gpg.format=ssh", "-c",
               f"gpg.ssh.allowedSignersFile={signers}", "verify-commit", commit)  # fmt: skip
    env = {"PATH": os.environ["PATH"], "HOME": str(key.parent), "GIT_CONFIG_NOSYSTEM": "1"}
    return subprocess.run(command, env=env, capture_output=True, check=False).returncode == 0


async def test_what_others_see_is_signed_and_still_the_same_commit(worktree: Worktree, key: Path) -> None:
    worktree.key = CommitKey(key)
    (worktree.path / "calc.py").write_text("def add(a, b):\n    return a + b\n")
    work = await worktree.commit("Mend add\n\nIt subtracted.", trailers={"Gatewright-Task": "1-aaaaaa"})
    assert work is not None
    evidence = await worktree.write_files({".gatewright/tasks/1-aaaaaa/qa.md": b"passed\n"}, work.commit, "Evidence")
    assert believed(worktree, work.commit, key)
    assert believed(worktree, evidence.commit, key)

    assert shown(worktree, evidence.commit) == f"Evidence\n|{evidence.tree}|{work.commit}"
    assert worktree.head == evidence.commit


async def test_without_a_key_nothing_is_signed(worktree: Worktree, key: Path) -> None:
    made = await worktree.write_files({"a": b"a\n"}, worktree.head, "Plain")
    assert not believed(worktree, made.commit, key)


async def test_a_signature_by_somebody_else_is_not_believed(worktree: Worktree, key: Path, other: Path) -> None:
    worktree.key = CommitKey(other)
    made = await worktree.write_files({"a": b"a\n"}, worktree.head, "By another")
    assert not believed(worktree, made.commit, key)
    assert believed(worktree, made.commit, other)


@pytest.mark.parametrize("spoiled", [lose, open_up, link, lock, spoil])
async def test_a_key_that_cannot_be_used_is_said(
    worktree: Worktree, key: Path, spoiled: Callable[[Path], None]
) -> None:
    before = worktree.head
    spoiled(key)
    worktree.key = CommitKey(key)
    with pytest.raises(GatewrightError) as caught:
        await worktree.write_files({"a": b"a\n"}, before, "Never")
    assert caught.value.code == "GW-COMMIT-KEY"
    assert str(key) in caught.value.what
    assert worktree.head == before
