"""The tools as a model uses them."""

from __future__ import annotations

import asyncio
import time

import pytest

from runners.loop.beneath import Beneath
from runners.loop.errors import ToolFault
from runners.loop.tools import TOOLS, Bench, offered
from runners.providers.protocol import Access, Limits
from tests.runners.loop.parts import BareJail

KINDS = {kind.name: kind for kind in TOOLS}


@pytest.fixture
def use(tmp_path):
    with Beneath(tmp_path) as files:
        bench = Bench(files, BareJail(tmp_path), Limits(output_bytes=500))

        async def call(name, arguments):
            kind = KINDS[name]
            return await kind.carry_out(kind.decode(arguments), bench)

        yield call


def test_a_phase_that_only_reads_is_offered_nothing_that_writes():
    assert set(offered(Access.READ)) == {"read", "search", "list"}
    assert set(offered(Access.WRITE)) == {"read", "search", "list", "edit", "write", "run"}


def test_what_is_offered_is_a_json_schema_with_words_for_every_parameter():
    tool = KINDS["read"].offer()
    assert tool.parameters["required"] == ["path"]
    assert tool.parameters["additionalProperties"] is False
    assert tool.parameters["properties"]["offset"] == {
        "type": "integer", "minimum": 1, "default": 1, "description": "First line to show, counted from 1.",
    }  # fmt: skip
    for kind in TOOLS:
        assert all(value["description"] for value in kind.offer().parameters["properties"].values())


async def test_numbers_in_quotes_are_taken_as_numbers(use, tmp_path):
    (tmp_path / "f").write_text("a\nb\n")
    assert (await use("read", '{"path": "f", "offset": "2"}')).text == "     2\tb"


async def test_read_refuses_what_is_binary_and_bounds_what_is_long(use, tmp_path):
    (tmp_path / "b").write_bytes(b"\x7fELF\0\0")
    with pytest.raises(ToolFault, match="binary file of 6 bytes"):
        await use("read", '{"path": "b"}')
    (tmp_path / "long").write_text("word\n" * 1_000)
    text = (await use("read", '{"path": "long"}')).text
    assert len(text) < 600
    assert "go on with offset=" in text


async def test_search_shows_matching_lines_and_is_bounded(use, tmp_path):
    (tmp_path / "many").write_text("needle\n" * 99)
    assert (await use("search", '{"pattern": "^needle$", "limit": 1}')).text.startswith("many:1: needle\n[more than 1")
    assert len((await use("search", '{"pattern": "needle"}')).text) <= 500


async def test_list_shows_kinds_and_where_links_point(use, tmp_path):
    (tmp_path / "d").mkdir()
    (tmp_path / "d/x.py").touch()
    (tmp_path / "l").symlink_to("/etc/passwd")
    assert (await use("list", "{}")).text == "d/\nl -> /etc/passwd"
    assert (await use("list", "")).text == "d/\nl -> /etc/passwd"
    assert (await use("list", '{"glob": "*.py"}')).text == "d/x.py"
    assert (await use("list", '{"path": "d"}')).text == "d/x.py"
    assert (await use("list", '{"glob": "*.rs"}')).text == "no match"


async def test_list_of_a_great_many_is_cut_with_a_note(use, tmp_path):
    for number in range(1_001):
        (tmp_path / f"{number:04}").touch()
    assert (await use("list", "{}")).text.endswith("[more than 1,000 entries: narrow the path or the glob]")


async def test_edit_changes_the_file_and_says_where(use, tmp_path):
    (tmp_path / "f.py").write_text("a = 1\nb = 2\n")
    output = await use("edit", '{"path": "f.py", "old": "b = 2", "new": "b = 3"}')
    assert output.text == "f.py: 1 place changed, the first at line 2."
    assert (tmp_path / "f.py").read_text() == "a = 1\nb = 3\n"


async def test_edit_leaves_what_is_no_utf8_alone(use, tmp_path):
    (tmp_path / "latin").write_bytes(b"caf\xe9")
    with pytest.raises(ToolFault, match="not UTF-8"):
        await use("edit", '{"path": "latin", "old": "caf", "new": "x"}')
    assert (tmp_path / "latin").read_bytes() == b"caf\xe9"


async def test_write_tells_new_from_rewritten(use, tmp_path):
    assert (await use("write", '{"path": "n/f", "content": "é"}')).text == "n/f: made, 2 bytes."
    assert (await use("write", '{"path": "n/f", "content": ""}')).text == "n/f: rewritten, 0 bytes."


async def test_run_gives_exit_code_and_output_and_says_how_it_went(use):
    good = await use("run", '{"command": "echo hi; pwd >/dev/null"}')
    assert (good.text, good.outcome, good.exit) == ("exit code 0\nhi\n", "ok", 0)
    bad = await use("run", '{"command": "echo no >&2; exit 3"}')
    assert (bad.text, bad.outcome, bad.exit) == ("exit code 3\nno\n", "fail", 3)


async def test_run_is_killed_after_its_time(use):
    started = time.monotonic()
    output = await use("run", '{"command": "sleep 30", "timeout": 1}')
    assert output.outcome == "timeout"
    assert output.text.startswith("killed after 1 s")
    assert time.monotonic() - started < 10


async def test_file_work_is_finished_before_a_cancelled_call_returns(use, tmp_path):
    task = asyncio.create_task(use("write", '{"path": "f", "content": "whole"}'))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    left = [path.name for path in tmp_path.iterdir()]
    assert left in ([], ["f"])
    await asyncio.sleep(0.05)
    assert [path.name for path in tmp_path.iterdir()] == left
