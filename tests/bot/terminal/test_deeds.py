"""What the agent does, in one line each, out of its attempt's stream."""

from __future__ import annotations

import msgspec
import pytest
from redis.asyncio import Redis

from bot.audit.blobs import Blobs
from bot.audit.record import Ref
from bot.tasks.admit import Entry
from bot.terminal.deeds import Deeds, deed


@pytest.mark.parametrize(
    ("tool", "arguments", "words"),
    [
        ("read", {"path": "pay/client.py"}, "read   pay/client.py"),
        ("Read", {"file_path": "/workspace/pay/client.py"}, "read   pay/client.py"),
        ("Bash", {"command": "make test\nrm -rf ."}, "run    make test …"),
        ("write", {"path": "a.py", "content": "one\ntwo\n"}, "write  a.py  +2"),
        ("edit", {"path": "a.py", "old": "one\ntwo", "new": "one\nthree\nfour"}, "edit   a.py  +2 \N{MINUS SIGN}1"),
        ("Edit", {"file_path": "a.py", "old_string": "x", "new_string": ""}, "edit   a.py  +0 \N{MINUS SIGN}1"),
        ("Grep", {"pattern": "retry", "path": "src"}, "search retry"),
        ("list", {}, "list"),
        ("Teleport", {"path": "\x1b[2Jhere"}, "Teleport\ufffd[2Jhere"),
    ],
)
def test_a_call_in_one_line(tool, arguments, words):
    assert deed(tool, arguments) == words


async def test_the_last_three_deeds_with_how_they_ended(redis_url, tmp_path):
    blobs = Blobs(tmp_path / "blobs")

    async def report(kind: str, outcome: str = "ok", blob: str = "", **data: object) -> None:
        refs = (Ref(commit=blobs.put(blob.encode()), name="args", size=len(blob)),) if blob else ()
        entry = Entry(kind, data, outcome, refs=refs)
        await redis.xadd("gw:attempt:0-abcdef:1", {"r": msgspec.json.encode(entry)})

    async with Redis.from_url(redis_url) as redis:
        deeds = Deeds(redis, blobs)
        assert await deeds.look("0-abcdef", 1) == ()
        await report("tool.call", call=1, tool="read", blob='{"path": "a.py"}')
        await report("tool.call", call=2, tool="run", blob='{"command": "make"}')
        assert await deeds.look("0-abcdef", 1) == ("read   a.py", "run    make")
        await report("tool.result", call=2, exit=2, outcome="fail")
        await report("tool.result", call=1, exit=None, outcome="denied")
        await report("tool.call", call=3, tool="run", blob="no JSON at all")
        await report("test.run", suite="unit", exit=1, passed=9, failed=2)
        assert await deeds.look("0-abcdef", 1) == (
            "run    make: exit 2",
            "run",
            "check  unit, 2 failed, 9 passed: exit 1",
        )
        assert await deeds.look("0-abcdef", 2) == (), "another attempt begins anew"
