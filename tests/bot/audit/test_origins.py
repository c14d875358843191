from __future__ import annotations

import pytest

from bot.audit.objects import Objects
from bot.audit.origins import origins
from tests.bot.audit.story import git


@pytest.fixture(params=["sha1", "sha256"])
def repo(request, tmp_path):
    git(tmp_path, "init", "-q", "-b", "main", f"--object-format={request.param}")
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "b.txt").write_bytes(b"one\n")
    git(tmp_path, "add", "-A")
    git(tmp_path, "commit", "-q", "-m", "first")
    git(tmp_path, "commit", "-q", "--allow-empty", "-m", "second")
    return tmp_path


def test_lines_are_followed_to_their_commits_whatever_the_hash(repo):
    (repo / "a" / "b.txt").write_bytes(b"one\ntwo\n")
    git(repo, "commit", "-q", "-a", "-m", "third")
    git(repo, "mv", "a/b.txt", "c.txt")
    git(repo, "commit", "-q", "-m", "fourth")
    git(repo, "config", "blame.ignoreRevsFile", ".git-blame-ignore-revs")  # which is not there
    first, third = (git(repo, "rev-parse", name) for name in ("HEAD~3", "HEAD~1"))

    with Objects(repo / ".git") as objects:
        head = objects.resolve("HEAD") or ""
        found = origins(objects, head, "c.txt")
        assert [(one.line, one.commit, one.path, one.there) for one in found] == [
            (1, first, b"a/b.txt", 1),
            (2, third, b"a/b.txt", 2),
        ]
        assert origins(objects, head, "c.txt", 2, 2) == found[1:]
        assert origins(objects, head, "a/b.txt") == []
        assert origins(objects, head, "c.txt", 3, 3) == []


def test_lines_of_a_shallow_clone_end_at_its_last_commit(repo, tmp_path_factory):
    clone = tmp_path_factory.mktemp("clone") / "repo"
    git(repo, "clone", "-q", "--depth", "1", f"file://{repo}", str(clone))

    with Objects(clone / ".git") as objects:
        head = objects.resolve("HEAD") or ""
        assert [one.commit for one in origins(objects, head, "a/b.txt")] == [head]


@pytest.mark.parametrize(
    "name", ["plain.txt", "a b.txt", 'qu"ote\\.txt', "tab\tline\x1b.txt", "Zürich ✓.txt", "\a\b\v\f\r.txt"]
)
def test_lines_are_followed_in_files_of_any_name(repo, name):
    (repo / name).write_bytes(b"one\n")
    git(repo, "add", "-A")
    git(repo, "commit", "-q", "-m", "named")

    with Objects(repo / ".git") as objects:
        (origin,) = origins(objects, objects.resolve("HEAD") or "", name)
        assert origin.path == name.encode()
