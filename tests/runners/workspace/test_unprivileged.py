"""A worker that is no root: the same jail, made by an ordinary user for itself.

The whole suite runs as whoever starts it. Where that is root, this runs one full task as somebody else.
"""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from runners.workspace.reach import blocked
from tests.conftest import ROOT
from tests.runners.workspace.kit import OWNER

STRANGER = 61_234

SCENARIO = """
import asyncio, os, sys
from pathlib import Path
from bot import settings
from bot.model.event import ForgeKind, Repo
from runners.workspace.files import open_root
from runners.workspace.mirror import Mirror
from runners.workspace.process import marked
from runners.workspace.sandbox import Sandbox, probe
from runners.workspace.worktree import Worktree

async def main(place, source):
    assert os.geteuid() == %d
    assert probe() is None, probe()
    work = open_root(place / "work")
    mirror = await Mirror.open(work / "mirrors", Repo(ForgeKind.LOCAL, "localhost", 1, "a/b"), str(source))
    await mirror.fetch()
    tree = await Worktree.create(mirror, work / "t", await mirror.head("main"))
    jail = Sandbox.create(settings.Sandbox(processes=64), tree.path, objects=mirror.objects, directory=work / "run")
    assert jail.uid is None
    plant = "git status --porcelain; id -u; echo x > new; mkdir shut; echo y > shut/f; chmod 0 shut"
    ended = await jail.run(["bash", "-c", plant], timeout=20)
    assert (ended.exit_code, ended.output) == (0, "1000\\n"), ended
    assert int((await jail.run(["/usr/bin/python3", "-c", sys.argv[3]], timeout=20)).output) < 64
    for delay in (0.002, 0.006, 0.01, 0.02, 0.3):
        ended = await jail.run(["bash", "-c", "setsid sleep 7654501 & sleep 7654502"], timeout=delay)
        assert ended.timed_out and not marked(jail._mark), delay
    made = await tree.commit("step")
    assert [p for p, _, _ in await tree.source_entries(made.commit)] == [b"f", b"new", b"shut/f"]
    await tree.push(str(source), None, made.commit + ":refs/heads/gatewright/t")
    await tree.remove()
    print("whole")

asyncio.run(main(Path(sys.argv[1]), Path(sys.argv[2])))
"""


BOMB = """
import os, time
n = 0
try:
    while n < 150:
        if os.fork() == 0:
            time.sleep(5)
            os._exit(0)
        n += 1
except BlockingIOError:
    pass
print(n)
"""


def interpreter() -> str:
    """Find a Python that another user may start and that can load what is installed here."""
    for candidate in (sys.executable, "/usr/bin/python3"):
        path = Path(candidate).resolve()
        same = f"python{sys.version_info.major}.{sys.version_info.minor}" in path.name
        if path.exists() and same and blocked(path, STRANGER) is None:
            return candidate
    pytest.skip("every Python of this version lies in a private home")


@pytest.mark.usefixtures("_jails")
@pytest.mark.skipif(OWNER is None, reason="the whole suite runs as an ordinary user already")
def test_an_ordinary_user_does_a_whole_task(place):
    if blocked(ROOT / "bot", STRANGER) is not None:
        pytest.skip("the checkout lies in a private home")
    python = interpreter()
    home = place / "home"
    home.mkdir()
    os.chown(home, STRANGER, STRANGER)
    become = ["setpriv", "--reuid", str(STRANGER), "--regid", str(STRANGER), "--clear-groups"]
    paths = os.pathsep.join([str(ROOT), *(p for p in sys.path if p.endswith("site-packages"))])
    env = {"PATH": "/usr/bin:/bin", "HOME": str(home), "PYTHONPATH": paths, "PYTHONDONTWRITEBYTECODE": "1"}
    author = "-c user.name=a -c user.email=a@b"
    make = f"git init -q -b main src && cd src && echo f > f && git add f && git {author} commit -qm first"
    subprocess.run([*become, "bash", "-c", make], cwd=home, env=env, check=True)
    script = textwrap.dedent(SCENARIO) % STRANGER
    done = subprocess.run(
        [*become, python, "-c", script, str(home), str(home / "src"), BOMB],
        cwd=home,
        env=env,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == "whole\n", done.stderr
