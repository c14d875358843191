"""The end of a process and its children."""

from __future__ import annotations

import asyncio
import os
import secrets
import subprocess
import time

from runners.providers import tree
from runners.workspace.options import PATH
from runners.workspace.process import MARK, marked

PARENT = "sleep 300 & echo $!; wait"


def gone_or_dead(pid: int) -> bool:
    found = tree.stat(pid)
    return found is None or found[0] in "ZX"


def test_a_child_and_its_children_are_killed() -> None:
    with subprocess.Popen(["sh", "-c", PARENT], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout
        grandchild = int(parent.stdout.readline())
        assert tree.kill(parent.pid) == [grandchild]
        asyncio.run(tree.gone([grandchild]))
        assert gone_or_dead(grandchild)
        assert parent.wait(5) == -9


def test_what_is_not_our_child_is_left_alone() -> None:
    with subprocess.Popen(["sh", "-c", PARENT], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout
        grandchild = int(parent.stdout.readline())
        assert tree.kill(grandchild) == []
        assert tree.kill(1) == []
        assert tree.kill(2**22 + 1) == []
        assert not gone_or_dead(grandchild)
        tree.kill(parent.pid)


def test_none_is_born_meanwhile() -> None:
    mark = secrets.token_hex(8)
    for _ in range(20):
        line = "for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do sleep 300 & done; wait"
        with subprocess.Popen(["sh", "-c", line], env={"PATH": PATH, MARK: mark}) as parent:
            time.sleep(0.003)
            tree.kill(parent.pid)
            assert parent.wait(5) == -9
        deadline = time.monotonic() + 2
        while marked(mark) and time.monotonic() < deadline:
            time.sleep(0.002)
        assert marked(mark) == []


async def test_waiting_ends_for_what_does_not() -> None:
    since = time.monotonic()
    await asyncio.wait_for(tree.gone([os.getpid()]), 5)
    assert 0.9 < time.monotonic() - since < 4
