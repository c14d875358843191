"""The search program, run as it is run for agents."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path

import pytest

from runners.loop.beneath import Beneath
from runners.loop.errors import ToolFault
from runners.loop.search import Query, find, search


async def program(root, pattern, *, seconds=20.0, **changes):
    with Beneath(root) as files:
        return await search(files, query(pattern, **changes), seconds)


async def here(root, pattern, **changes):
    with Beneath(root) as files:
        return find(files, query(pattern, **changes), time.monotonic() + 10)


def query(pattern, **changes) -> Query:
    base = Query(pattern=pattern, path=".", glob="", literal=False, ignore_case=False, limit=100)
    return {**base, **changes}  # type: ignore[typeddict-item]


both = pytest.mark.parametrize("look", [program, here])


def children():
    return {pid for path in Path("/proc/self/task").glob("*/children") for pid in path.read_text().split()}


@pytest.fixture
def tree(tmp_path):
    (tmp_path / "src").mkdir()
    (tmp_path / "src/a.py").write_text("import os\nx = 1\n")
    (tmp_path / "src/b.txt").write_text("Import everything\r\nplain (text)\r\n")
    (tmp_path / "top.py").write_text("import sys\n")
    return tmp_path


@both
async def test_matching_lines_come_with_path_and_number(tree, look):
    assert await look(tree, "^import") == "top.py:1: import sys\nsrc/a.py:1: import os"


@both
async def test_a_search_can_be_narrowed_by_folder_file_glob_and_case(tree, look):
    assert await look(tree, "import", path="src") == "src/a.py:1: import os"
    assert await look(tree, "import", path="top.py") == "top.py:1: import sys"
    assert await look(tree, "import", glob="*.txt", ignore_case=True) == "src/b.txt:1: Import everything"
    assert await look(tree, "n (t", literal=True) == "src/b.txt:2: plain (text)"
    assert await look(tree, "nothing such") == "no match"


@both
async def test_what_cannot_be_searched_is_counted_or_passed_over(tree, look):
    (tree / "huge").write_bytes(b"import\n" * 400_000)
    (tree / "binary").write_bytes(b"import\0\n")
    (tree / "link").symlink_to("/etc/passwd")
    os.mkfifo(tree / "pipe")
    (tree / ".git").mkdir()
    (tree / ".git/config").write_text("import = secret")
    answer = await look(tree, "import|root")
    assert answer.startswith("top.py:1: import sys\nsrc/a.py:1: import os\n[1 file(s) not searched")


@both
async def test_many_matches_and_long_lines_are_cut_with_a_note(tree, look):
    (tree / "many").write_text("needle\n" * 50 + "needle" + "x" * 5_000)
    answer = await look(tree, "needle", limit=10)
    assert answer.count("needle") == 10
    assert answer.endswith("[more than 10 matches: narrow the pattern, the path or the glob]")
    assert (await look(tree, "needlex")).endswith("[line cut]")


@both
@pytest.mark.parametrize("pattern", ["(", "*x", "(?P<n>a)(?P<n>b)", "a{9999999999}"])
async def test_a_bad_expression_is_explained(tree, look, pattern):
    with pytest.raises(ToolFault, match="not a regular expression"):
        await look(tree, pattern)


@both
async def test_a_path_outside_is_refused_in_the_program_too(tree, look):
    with pytest.raises(ToolFault, match=r"`\.\.` is not allowed"):
        await look(tree, "x", path="../..")


async def test_an_expression_without_end_is_killed_and_holds_nobody_up(tree):
    """The loop goes on ticking meanwhile: `re` in this process would hold the interpreter lock."""
    (tree / "trap").write_text("a" * 40 + "!")
    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            await asyncio.sleep(0.01)
            ticks += 1

    ticking = asyncio.create_task(tick())
    started = time.monotonic()
    with pytest.raises(ToolFault, match="took more than 1 s"):
        await program(tree, "(a+)+$", seconds=1)
    ticking.cancel()
    assert time.monotonic() - started < 5
    assert ticks > 10


async def test_a_cancelled_search_leaves_no_process(tree):
    (tree / "trap").write_text("a" * 40 + "!")
    others = children()  # a Redis of the whole run, say
    task = asyncio.create_task(program(tree, "(a+)+$"))
    await asyncio.sleep(0.3)
    assert children() - others
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not children() - others


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has something to drop")
async def test_as_root_the_program_reads_as_the_owner_of_the_worktree(tree):
    (tree / "closed").write_text("import secret")
    (tree / "closed").chmod(0o600)
    for path in (tree, tree / "src", tree / "src/a.py", tree / "top.py"):
        os.chown(path, 64_001, 64_001)
    assert "secret" not in await program(tree, "import")
