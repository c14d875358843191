from __future__ import annotations

import hashlib

from hypothesis import given
from hypothesis import strategies as st

from bot.audit.objects import Objects
from bot.audit.source import source_digest
from bot.audit.trees import Trees
from tests.bot.audit.story import git, sha

PATHS = st.binary(min_size=1, max_size=20).filter(lambda path: b"\0" not in path)
ENTRIES = st.dictionaries(PATHS, st.tuples(st.sampled_from(["100644", "100755"]), st.binary(max_size=8)), max_size=8)


def test_the_digest_is_the_hash_of_one_line_a_path():
    entries = [(b"b", "100755", "1" * 64), (b"a/x", "100644", "2" * 64)]
    said = b"100644 " + b"2" * 64 + b" a/x\0" + b"100755 " + b"1" * 64 + b" b\0"

    assert source_digest(entries) == hashlib.sha256(b"gatewright/audit/v1/source\n" + said).hexdigest()


@given(ENTRIES, st.randoms())
def test_the_order_of_entries_does_not_matter(entries, random):
    rows = [(path, mode, hashlib.sha256(content).hexdigest()) for path, (mode, content) in entries.items()]
    shuffled = random.sample(rows, len(rows))

    assert source_digest(rows) == source_digest(shuffled)


def test_evidence_is_left_out_and_nothing_else_is():
    rows = [(b"a", "100644", "1" * 64)]

    assert source_digest([*rows, (b".gatewright/tasks/1-abcdef/spec.md", "100644", "2" * 64)]) == source_digest(rows)
    assert source_digest([*rows, (b".gatewright/tasks.md", "100644", "2" * 64)]) != source_digest(rows)


def test_a_git_tree_gives_the_digest_of_what_git_itself_lists(tmp_path):
    git(tmp_path, "init", "-q", "-b", "main")
    (tmp_path / "b dir").mkdir()
    (tmp_path / "b dir" / "\N{SNOWMAN}.py").write_bytes(b"x = 1\n")
    (tmp_path / "b").write_bytes(b"")
    (tmp_path / "run").write_bytes(b"#!/bin/sh\n")
    (tmp_path / "run").chmod(0o755)
    (tmp_path / "link").symlink_to("b")
    (tmp_path / ".gatewright" / "tasks" / "1-abcdef").mkdir(parents=True)
    (tmp_path / ".gatewright" / "tasks" / "1-abcdef" / "spec.md").write_bytes(b"#\n")
    git(tmp_path, "add", "-A", "-f")
    git(tmp_path, "update-index", "--add", "--cacheinfo", f"160000,{'1' * 40},module")
    git(tmp_path, "commit", "-q", "-m", "x")
    commit = git(tmp_path, "rev-parse", "HEAD")
    contents = {
        b"b": ("100644", b""), "b dir/\N{SNOWMAN}.py".encode(): ("100644", b"x = 1\n"), b"link": ("120000", b"b"),
        b"run": ("100755", b"#!/bin/sh\n"), b"module": ("160000", b"1" * 40),
    }  # fmt: skip

    with Objects(tmp_path / ".git") as objects:
        trees = Trees(objects)
        assert trees.source(commit) == source_digest((path, mode, sha(data)) for path, (mode, data) in contents.items())
        assert trees.holds_source(commit)
