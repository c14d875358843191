"""The jail as its users see it; what it withstands is in tests/attacks."""

from __future__ import annotations

import asyncio
import os
import socket
import stat
from pathlib import Path

import pytest

from bot import settings
from bot.model.errors import GatewrightError
from runners.workspace import launch
from runners.workspace.open import OpenJail
from runners.workspace.probe import explain
from runners.workspace.sandbox import Sandbox, clear, probe
from tests.runners.workspace.kit import OWNER, TABLE, ask, names

ASK = 'exec 3<>/dev/tcp/127.0.0.1/{port}; printf "hello\\n" >&3; head -n1 <&3'


async def test_a_command_runs_in_the_worktree_and_its_end_comes_back(jail, tree):
    ended = await jail.run(["bash", "-c", "pwd; echo made > file; echo oops >&2; exit 3"], timeout=10)
    assert (ended.exit_code, ended.output, ended.timed_out, ended.truncated) == (3, "/workspace\noops\n", False, False)
    assert (tree / "file").read_text() == "made\n"
    assert (tree / "file").stat().st_uid == (os.geteuid() if OWNER is None else OWNER)


async def test_the_environment_is_what_was_asked_for_and_nothing_else(jail, monkeypatch):
    monkeypatch.setenv("ANTHROPIC_API_KEY", "REAL-KEY")
    ended = await jail.run(["env"], timeout=10, env={"HELLO": "w or\nld"})
    names = {line.split("=")[0] for line in ended.output.splitlines()}
    ours = {"HOME", "PATH", "LANG", "TMPDIR", "USER", "LOGNAME", "SHELL", "PYTHONDONTWRITEBYTECODE"}
    assert names == ours | {"HELLO", "ld", "PWD", "SHLVL"}


async def test_a_read_only_jail_cannot_write_the_worktree(jail, tree):
    ended = await jail.run(["bash", "-c", "touch file; touch /tmp/file && echo tmp"], timeout=10, writable=False)
    assert "Read-only file system" in ended.output
    assert ended.output.endswith("tmp\n")
    assert names(tree) == []


async def test_a_command_that_is_not_there_is_its_own_failure(jail):
    assert (await jail.run(["nothing-of-that-name"], timeout=10)).exit_code == 127


async def test_the_gateway_is_reached_through_loopback(make_jail, tree, gateway):
    jail = make_jail(tree, socket=gateway)
    assert jail.gateway_url == "http://127.0.0.1:8900"
    ended = await jail.run(["bash", "-c", ASK.format(port=8900)], timeout=10)
    assert ended.output == "HELLO\n"


async def test_without_a_gateway_there_is_nothing_to_reach(jail):
    assert "refused" in (await jail.run(["bash", "-c", ASK.format(port=8900)], timeout=10)).output


async def test_a_jail_that_cannot_start_is_no_failed_command(make_jail, tree, work):
    gone = work / "gone.sock"
    jail = make_jail(tree, socket=gone)
    with pytest.raises(GatewrightError) as caught:
        await jail.run(["true"], timeout=10)
    assert caught.value.code == "GW-SANDBOX-START"
    assert "gone.sock" in caught.value.why


async def test_commands_run_beside_each_other(jail):
    ended = await asyncio.gather(*(jail.run(["bash", "-c", f"sleep 0.1; echo {i}"], timeout=10) for i in range(4)))
    assert [e.output for e in ended] == ["0\n", "1\n", "2\n", "3\n"]


async def test_extra_host_paths_are_shown_read_only(make_jail, tree, place):
    tools = place / "tools"
    tools.mkdir()
    (tools / "hello").write_text("#!/bin/sh\necho hello from tools\n")
    (tools / "hello").chmod(0o755)
    jail = make_jail(tree, settings.Sandbox(binds=(str(tools),)))
    ended = await jail.run(["bash", "-c", f"{tools}/hello; touch {tools}/x"], timeout=10)
    assert ended.output.startswith("hello from tools\n")
    assert "Read-only" in ended.output


def toolchain(folder: Path, name: str, words: str) -> Path:
    """Make a program in a bin folder, as a version manager does."""
    path = folder / "bin" / name
    path.parent.mkdir(parents=True)
    path.write_text(f"#!/bin/sh\necho {words}\n")
    path.chmod(0o755)
    return folder


async def test_toolchains_of_a_private_home_are_used_by_name_and_stay_as_they_are(make_jail, tree, place):
    home = place / "home/dev"
    toolchain(home / ".pyenv/versions/3.13", "python3.13", "a python of pyenv")
    toolchain(home / ".cargo", "cargo", "a cargo")
    (home / ".cargo/registry").mkdir()
    (home / ".sdkman/current").parent.mkdir(parents=True)
    (home / ".sdkman/current").symlink_to(toolchain(home / ".sdkman/candidates/21", "javac", "a jdk"))
    (place / "home").chmod(0o700)
    binds = (f"{home}/.pyenv", f"{home}/.cargo", f"{home}/.sdkman")
    path = (f"{home}/.pyenv/versions/3.13/bin", f"{home}/.cargo/bin", f"{home}/.sdkman/current/bin")
    jail = make_jail(tree, settings.Sandbox(binds=binds, path=path), cache=place / "cache")
    line = f"python3.13; cargo; javac; touch {home}/.cargo/registry/index {home}/.pyenv/x; echo $PATH"
    seen = (await jail.run(["sh", "-c", line], timeout=10)).output.splitlines()
    assert seen[:3] == ["a python of pyenv", "a cargo", "a jdk"]
    assert sum("Read-only file system" in line for line in seen[3:5]) == 2
    assert seen[5] == ":".join([*path, "/usr/local/bin:/usr/bin:/bin"])


async def test_toolchains_below_others_are_both_there(make_jail, tree, place):
    (place / "opt").mkdir()
    toolchain(place / "opt/go", "go", "outer")
    extra = toolchain(place / "elsewhere", "gopls", "inner")
    (place / "opt/go/tools").mkdir()
    (place / "opt/go/tools/current").symlink_to(extra)
    binds = (f"{place}/opt/go/bin", f"{place}/elsewhere", f"{place}/opt/go")
    jail = make_jail(tree, settings.Sandbox(binds=binds, path=(f"{place}/opt/go/bin",)))
    line = f"go; {place}/opt/go/tools/current/bin/gopls"
    assert (await jail.run(["sh", "-c", line], timeout=10)).output == "outer\ninner\n"


@pytest.mark.parametrize("path", ["/opt/nothing/bin", "relative/bin", "/usr/bin:/opt", "/root"])
def test_a_search_path_that_the_jail_does_not_show_is_refused(path, make_jail, tree):
    with pytest.raises(GatewrightError, match=r"sandbox\.path names") as caught:
        make_jail(tree, settings.Sandbox(path=(path,)))
    assert caught.value.code == "GW-SANDBOX-BIND"


async def test_a_wrapper_is_a_program_that_runs_another_in_the_jail(make_jail, tree, gateway):
    jail = make_jail(tree, socket=gateway)
    path = jail.wrapper(["bash", "-c", 'echo "$TOKEN $0 $1"; cat; ' + ASK.format(port=8900)], env={"TOKEN": "run-abc"})
    process = await asyncio.create_subprocess_exec(
        path, "one", "two words", stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, cwd=tree
    )
    out, _ = await process.communicate(b"from stdin\n")
    assert out == b"run-abc one two words\nfrom stdin\nHELLO\n"


async def test_a_wrapper_keeps_its_environment_out_of_sight(jail):
    path = jail.wrapper(["true"], env={"TOKEN": "run-abc"})
    assert b"run-abc" not in path.read_bytes()
    holders = [p for p in path.parent.iterdir() if p.is_file() and b"run-abc" in p.read_bytes()]
    assert [stat.S_IMODE(p.stat().st_mode) for p in holders] == [0o600]


async def test_a_wrapper_is_no_good_for_another_process(jail, tree):
    path = jail.wrapper(["touch", "ran"], env={})
    other = ask("bash", "-c", f"{path}; exit $?")
    assert other.returncode == launch.STALE
    assert names(tree) == []


async def test_a_runtimes_result_file_is_printed_as_the_last_line(jail):
    path = jail.wrapper(
        ["bash", "-c", "echo work; echo '{\"tokens\":\n7}' > ~/usage.json; exit 5"],
        env={"GW_EPILOGUE": "/home/agent/usage.json"},
    )
    process = await asyncio.create_subprocess_exec(path, stdout=asyncio.subprocess.PIPE)
    out, _ = await process.communicate()
    assert out == b'work\n\n{"type":"gw.usage","data":{"tokens":7}}\n'
    assert process.returncode == 5


async def test_a_runtime_in_a_private_home_is_brought_to_where_the_jail_can_read_it(make_jail, tree, place):
    home = place / "home"
    home.mkdir(mode=0o700)
    runtime = home / "runtime"
    runtime.write_text("#!/bin/sh\necho runtime $1\n")
    runtime.chmod(0o755)
    jail = make_jail(tree, cache=place / "cache")
    for _ in range(2):
        path = jail.wrapper(["/opt/rt/runtime"], env={}, binds=[(runtime, "/opt/rt/runtime")])
        process = await asyncio.create_subprocess_exec(path, "x", stdout=asyncio.subprocess.PIPE)
        assert (await process.communicate())[0] == b"runtime x\n"
    if OWNER is not None:
        (copy,) = (place / "cache").iterdir()
        assert copy.stat().st_ino == runtime.stat().st_ino  # a link: 200 MB for nothing


@pytest.mark.skipif(OWNER is None, reason="an ordinary worker passes where it may pass itself")
async def test_a_worktree_in_a_private_home_is_refused_with_what_to_set(make_jail, place):
    home = place / "home"
    home.mkdir(mode=0o700)
    (home / "tree").mkdir()
    with pytest.raises(GatewrightError) as caught:
        make_jail(home / "tree")
    assert caught.value.code == "GW-SANDBOX-PATH"
    assert str(home) in caught.value.why
    assert "work_dir" in caught.value.fix


@pytest.mark.skipif(OWNER is None, reason="an ordinary worker has one user")
async def test_every_slot_has_a_user_of_its_own(make_jail, tree):
    with pytest.raises(GatewrightError, match="GW-SANDBOX-PATH"):
        make_jail(tree, slot=3)
    tree.chmod(0o755)
    jail = make_jail(tree, slot=3)
    assert jail.uid == TABLE.user + 3
    assert "Permission denied" in (await jail.run(["touch", "x"], timeout=10)).output


async def test_what_a_jail_is_made_of_goes_with_it(jail):
    path = jail.wrapper(["sleep", "7654341"], env={})
    process = await asyncio.create_subprocess_exec(path)
    await asyncio.sleep(0.2)
    await jail.close()
    assert await process.wait() == -9
    assert not path.exists()


@pytest.mark.usefixtures("_jails")
def test_the_probe_starts_a_jail_to_know():
    assert probe() is None


def test_the_probe_names_missing_programs_and_the_line_that_brings_them(monkeypatch, tmp_path):
    monkeypatch.setattr(launch, "PATH", str(tmp_path))
    assert probe() == ("not installed: bwrap, socat, setpriv, prlimit (apt install bubblewrap socat util-linux)")


def test_the_probe_repeats_bubblewraps_reason_where_no_switch_explains_it():
    said = explain("bwrap: No permissions to creating new namespace\n")
    assert "namespace" in said
    assert "sysctl" in said or "container" in said


class TestOpenJail:
    """The same interface without walls."""

    @pytest.fixture
    def open_jail(self, tree, work) -> OpenJail:
        return OpenJail(TABLE, tree, directory=work / "open")

    def test_it_says_that_it_confines_nothing(self, open_jail):
        assert OpenJail.confined is False
        assert Sandbox.confined is True

    async def test_it_runs_without_the_workers_environment_and_never_as_root(self, open_jail, monkeypatch):
        monkeypatch.setenv("ANTHROPIC_API_KEY", "REAL-KEY")
        ended = await open_jail.run(["bash", "-c", "env; id -u; pwd; touch made"], timeout=10)
        assert "REAL-KEY" not in ended.output
        assert ended.output.splitlines()[-2:] == [str(os.geteuid() if OWNER is None else OWNER), open_jail.inside]
        assert names(open_jail.worktree) == ["made"]

    async def test_a_time_out_ends_the_whole_family(self, open_jail):
        ended = await open_jail.run(["bash", "-c", "setsid sleep 7654351 & sleep 7654352"], timeout=0.3)
        assert ended.timed_out
        assert ask("pgrep", "-f", "sleep 765435").stdout == ""

    async def test_a_wrapper_reaches_the_gateway_through_a_relay_that_ends_with_it(self, tree, work, gateway):
        jail = OpenJail(TABLE, tree, socket=gateway, directory=work / "open")
        port = int(jail.gateway_url.rpartition(":")[2])
        path = jail.wrapper(
            ["/opt/x/bash", "-c", ASK.format(port=port)], env={}, binds=[(Path("/bin/bash"), "/opt/x/bash")]
        )
        process = await asyncio.create_subprocess_exec(path, stdout=asyncio.subprocess.PIPE)
        assert (await process.communicate())[0] == b"HELLO\n"
        await jail.close()
        with socket.socket() as late, pytest.raises(ConnectionRefusedError):
            late.connect(("127.0.0.1", port))


async def test_what_a_killed_worker_left_is_ended_before_the_next_attempt(make_jail, tree, work):
    jail = make_jail(tree)
    (directory,) = (path for path in work.glob("run-*") if (path / "mark").exists())
    path = jail.wrapper(["sleep", "7654342"], env={})
    process = await asyncio.create_subprocess_exec(path)
    await asyncio.sleep(0.2)
    assert await clear(directory) > 0
    assert await process.wait() == -9
    assert await clear(work / "nothing") == 0
