from __future__ import annotations

import hashlib
import subprocess

import pytest

from bot.audit.objects import ObjectAltered, ObjectMissing, Objects, git_dir_of
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


def test_objects_of_either_hash_are_read_and_hashed_again(repo):
    with Objects(repo / ".git") as objects:
        head = objects.resolve("HEAD")
        assert head == git(repo, "rev-parse", "HEAD")
        commit = objects.commit(head)
        assert commit.tree == git(repo, "rev-parse", "HEAD^{tree}")
        assert commit.parents == (git(repo, "rev-parse", "HEAD~1"),)
        found = objects.find(head, b"a/b.txt")
        assert found is not None
        assert (found.mode, objects.read(found.oid, "blob")) == ("100644", b"one\n")
        assert [entry.path for entry in objects.walk(commit.tree)] == [b"a/b.txt"]
        assert objects.find(head, b"a/c.txt") is None
        assert objects.refs("refs/heads/") == {"refs/heads/main": head}
        assert not objects.is_shallow


def test_a_file_on_the_way_to_a_path_is_shown_as_what_it_is(repo):
    with Objects(repo / ".git") as objects:
        found = objects.find(objects.resolve("HEAD") or "", b"a/b.txt/c")

    assert found is not None
    assert not found.is_tree


def test_a_missing_object_says_how_to_get_it(repo):
    missing = hashlib.new("sha1" if len(git(repo, "rev-parse", "HEAD")) == 40 else "sha256", b"?").hexdigest()
    with Objects(repo / ".git") as objects, pytest.raises(ObjectMissing) as refused:
        objects.read(missing, "blob")
    assert "fetch" in refused.value.fix


def test_a_kind_that_does_not_fit_is_refused(repo):
    with Objects(repo / ".git") as objects, pytest.raises(ObjectAltered):
        objects.read(objects.resolve("HEAD") or "", "tree")


def test_an_unreadable_object_is_refused_and_others_stay_readable(repo):
    oid = git(repo, "rev-parse", "HEAD:a/b.txt")
    path = repo / ".git" / "objects" / oid[:2] / oid[2:]
    path.chmod(0o600)
    path.write_bytes(b"no zlib at all")
    with Objects(repo / ".git") as objects:
        with pytest.raises((ObjectAltered, ObjectMissing)):
            objects.read(oid, "blob")
        assert objects.commit(objects.resolve("HEAD") or "").tree


@pytest.mark.parametrize("rev", ["--help", "-x", "nowhere", "HEAD\nHEAD", "", "HEAD^{tree}", "HEAD~9"])
def test_revisions_that_name_no_commit(repo, rev):
    with Objects(repo / ".git") as objects:
        assert objects.resolve(rev) is None


@pytest.mark.parametrize("oid", ["HEAD", "main:a/b.txt", "", "0" * 39])
def test_only_full_ids_are_looked_up(repo, oid):
    with Objects(repo / ".git") as objects, pytest.raises(ObjectMissing):
        objects.read(oid, "blob")


def test_a_repository_is_found_only_where_it_is_named(repo):
    assert git_dir_of(repo) == repo / ".git"
    assert git_dir_of(repo / ".git") == repo / ".git"
    assert git_dir_of(repo / "a") is None


def test_nothing_is_fetched_to_fill_a_gap(repo):
    """A partial clone must not make the verifier run what its configuration names."""
    clone = repo.parent / f"{repo.name}-clone"
    git(repo, "config", "uploadpack.allowFilter", "true")
    git(repo, "clone", "-q", "--bare", "--filter=blob:none", f"file://{repo}", str(clone))
    trap = repo.parent / f"{repo.name}-trap"
    git(clone, "config", "remote.origin.url", f"ext::sh -c touch% {trap}")
    git(clone, "config", "protocol.ext.allow", "always")
    oid = git(repo, "rev-parse", "HEAD:a/b.txt")
    with Objects(clone) as objects, pytest.raises((ObjectMissing, ObjectAltered)):
        objects.read(oid, "blob")
    assert not trap.exists()

    with pytest.raises(subprocess.CalledProcessError):
        git(clone, "cat-file", "blob", oid)
    assert trap.exists()  # git alone walks into it


def test_the_reader_ends_with_the_block(repo):
    with Objects(repo / ".git") as objects:
        objects.commit(objects.resolve("HEAD") or "")
        reader = objects._reader
    assert isinstance(reader, subprocess.Popen)
    assert reader.poll() is not None
