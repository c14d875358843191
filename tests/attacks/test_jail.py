"""Attacks from inside the jail.

Where an attack can be shown to work without the walls, the same line is first run in OpenJail, which has none.
"""

from __future__ import annotations

import asyncio
import http.server
import os
import secrets
import signal
import socket
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from bot import settings
from runners.workspace import launch, seccomp
from runners.workspace.open import OpenJail
from runners.workspace.process import marked, sweep
from runners.workspace.sandbox import Sandbox
from tests.attacks.parts import PYTHON, bash, python
from tests.runners.workspace.kit import OWNER, TABLE, ask, launched, names


@pytest.fixture
def open_jail(tree: Path, work: Path) -> OpenJail:
    return OpenJail(TABLE, tree, directory=work / "open")


class TestSecrets:
    """Keys of the worker and files of the machine."""

    async def test_the_workers_environment_is_in_nobodys_proc(self, jail, monkeypatch):
        monkeypatch.setenv("ANTHROPIC_API_KEY", "REAL-KEY")
        look = "cat /proc/*/environ /proc/*/cmdline 2>/dev/null | tr '\\0' '\\n'"
        careless = ask(
            "bwrap", "--ro-bind", "/", "/", "--unshare-pid", "--proc", "/proc", "--dev", "/dev", "--clearenv",
            "bash", "-c", look,
        )  # fmt: skip
        assert "REAL-KEY" in careless.stdout, "--clearenv alone is said to leak"
        assert "REAL-KEY" not in await bash(jail, look)

    async def test_the_first_process_shows_neither_host_paths_nor_tokens(self, make_jail, tree, work, monkeypatch):
        monkeypatch.chdir(work)
        jail = make_jail(tree)
        seen = await bash(jail, "cat /proc/1/environ /proc/1/cmdline | tr '\\0' '\\n'", env={"TOKEN": "run-abc"})
        assert "run-abc" not in seen
        assert str(work) not in seen
        names = {line.split("=")[0] for line in seen.splitlines() if "=" in line}
        assert names == {"PATH", "GW_RUN"}

    async def test_the_hosts_process_list_shows_no_token(self, jail):
        careless = launched(
            "bwrap", "--ro-bind", "/", "/", "--dev", "/dev", "--setenv", "TOKEN", "run-" + "abc-naive", "sleep", "0.5"
        )
        assert await within(3, lambda: "run-abc-naive" in ask("ps", "-eo", "args").stdout)
        careless.wait()
        running = asyncio.ensure_future(jail.run(["sleep", "0.5"], timeout=9, env={"TOKEN": "run-abc"}))
        await asyncio.sleep(0.25)
        listed = ask("ps", "-eo", "args").stdout
        assert "run-abc" not in listed
        assert "bwrap --args" in listed
        await running

    async def test_open_files_of_the_worker_do_not_come_along(self, jail, place):
        (place / "secret").write_text("TOPSECRET")
        with (place / "secret").open() as file:
            os.set_inheritable(file.fileno(), True)
            assert "TOPSECRET" in passed_on(file.fileno())
            assert (await bash(jail, f"ls /proc/self/fd; cat <&{file.fileno()}")).startswith("0\n1\n2\n3\n")

    @pytest.mark.parametrize("where", ["file", "other worktree", "redis socket"])
    async def test_files_of_the_host_are_not_there(self, where, jail, open_jail, work):
        path = (
            work / {"file": "secret", "other worktree": "2-bbbbbb/tree/secret", "redis socket": "redis/secret"}[where]
        )
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("TOPSECRET\n")
        assert await bash(open_jail, f"cat {path}") == "TOPSECRET\n"
        assert "No such file" in await bash(jail, f"cat {path}")

    @pytest.mark.parametrize(
        "path",
        [
            "/root",
            "/etc/shadow",
            "/etc/hostname",
            "/home/agent/.ssh",
            "/var",
            "/sys",
            "/run/docker.sock",
            "/mnt",
            "/tmp/.X11-unix",
        ],
    )
    async def test_places_of_the_host_are_not_there(self, path, jail):
        assert "No such file" in await bash(jail, f"ls -d {path}")

    async def test_a_link_in_the_tree_leads_nowhere(self, jail, open_jail, tree, work):
        (work / "secret").write_text("TOPSECRET\n")
        (tree / "leak").symlink_to(work / "secret")
        assert await bash(open_jail, "cat leak") == "TOPSECRET\n"
        assert "No such file" in await bash(jail, "cat leak")


class TestWriting:
    """Everything but the worktree and bounded scratch space."""

    async def test_the_host_cannot_be_written(self, jail, open_jail, work):
        target = work / "drop"
        target.mkdir()
        target.chmod(0o777)
        await bash(open_jail, f"echo x > {target}/naive")
        assert (target / "naive").exists()
        await bash(jail, f"mkdir -p {target}; echo x > {target}/ours")
        assert not (target / "ours").exists()

    @pytest.mark.parametrize(
        "path",
        [
            "/x",
            "/usr/x",
            "/etc/x",
            "/dev/x",
            "/run/x",
            "/opt/x",
            "/opt/gw/init.sh",
            "/etc/passwd",
            "/proc/sys/kernel/core_pattern",
            "/proc/sysrq-trigger",
        ],
    )
    async def test_the_jail_itself_cannot_be_written(self, path, jail):
        said = await bash(jail, f"echo x > {path} && echo WROTE")
        assert "WROTE" not in said

    @pytest.mark.parametrize(("where", "mebibytes"), [("/tmp", 16), ("/dev/shm", 128)])
    async def test_scratch_space_is_bounded(self, where, mebibytes, make_jail, tree):
        jail = make_jail(tree, settings.Sandbox(tmp_mb=16))
        said = await bash(jail, f"head -c {(mebibytes + 8) << 20} /dev/zero > {where}/fill; stat -c %s {where}/fill")
        assert "No space left" in said
        assert int(said.splitlines()[-1]) <= mebibytes << 20

    async def test_a_file_is_bounded(self, make_jail, tree):
        jail = make_jail(tree, settings.Sandbox(file_mb=1))
        ended = await jail.run(["bash", "-c", "head -c 3000000 /dev/zero > big; stat -c %s big"], timeout=10)
        assert int(ended.output.splitlines()[-1]) == 1 << 20

    async def test_only_harmless_devices_exist(self, jail):
        nodes = set((await bash(jail, "cd /dev; find . -type c -o -type b | sort")).split())
        assert nodes <= {
            "./full",
            "./null",
            "./random",
            "./tty",
            "./urandom",
            "./zero",
            "./console",
            "./ptmx",
            "./pts/ptmx",
        }
        assert "WROTE" not in await bash(jail, "mknod disk b 254 0 && echo WROTE")

    async def test_a_set_uid_bit_gives_nothing(self, jail):
        said = await bash(
            jail,
            "cp /usr/bin/id . && chmod 4755 id; ./id -u; "
            "grep -E 'Cap(Eff|Prm|Bnd|Amb)|NoNewPrivs|Seccomp:' /proc/self/status",
        )
        fields = dict(line.split(":\t") for line in said.splitlines()[1:])
        assert said.splitlines()[0] == "1000"
        assert {int(value, 16) for name, value in fields.items() if name.startswith("Cap")} == {0}
        assert (fields["NoNewPrivs"], fields["Seccomp"]) == ("1", "2")


class TestNetwork:
    """Nothing but the gateway's socket."""

    async def test_services_on_the_hosts_loopback_are_out_of_reach(self, jail, open_jail):
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            line = f"exec 3<>/dev/tcp/127.0.0.1/{server.server_port} && echo CONNECTED"
            assert await bash(open_jail, line) == "CONNECTED\n"
            assert "refused" in await bash(jail, line)
        finally:
            server.shutdown()
            thread.join()
            server.server_close()

    async def test_abstract_sockets_are_out_of_reach(self, jail, open_jail):
        name = "\0gw-" + secrets.token_hex(6)
        code = f"import socket; s = socket.socket(socket.AF_UNIX); s.connect({name!r}); print('CONNECTED')"
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(name)
            server.listen()
            assert await python(open_jail, code) == "CONNECTED\n"
            assert "refused" in await python(jail, code)

    async def test_sockets_of_the_host_are_not_there(self, jail, open_jail, work):
        path = str(work / "redis.sock")
        code = f"import socket; s = socket.socket(socket.AF_UNIX); s.connect({path!r}); print('CONNECTED')"
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(str(work / "redis.sock"))
            (work / "redis.sock").chmod(0o777)
            server.listen()
            assert await python(open_jail, code) == "CONNECTED\n"
            assert "No such file" in await python(jail, code)

    @pytest.mark.parametrize("address", ["169.254.169.254", "10.0.0.1", "1.1.1.1"])
    async def test_no_route_leads_anywhere(self, address, jail):
        assert "unreachable" in await bash(jail, f"exec 3<>/dev/tcp/{address}/80")
        assert len((await bash(jail, "cat /proc/net/route")).splitlines()) == 1

    async def test_there_is_no_interface_but_loopback(self, jail, open_jail):
        assert (await python(jail, "import socket; print([n for _, n in socket.if_nameindex()])")) == "['lo']\n"


CALL = """
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
def call(*args):
    ctypes.set_errno(0)
    result = libc.syscall(*args)
    return os.strerror(ctypes.get_errno()) if result < 0 else "done"
"""


CORES_GO_ELSEWHERE = Path("/proc/sys/kernel/core_pattern").read_text().startswith(("|", "/"))
PACKET = 17
RARE = [(PACKET, 3), (38, 5), (40, 1), (44, 3)]  # packet, kernel crypto, virtual machine, XDP


class TestKernel:
    """Doors of the kernel that no build needs."""

    @pytest.mark.parametrize(
        "name",
        [
            "ptrace",
            "keyctl",
            "io_uring_setup",
            "userfaultfd",
            "memfd_secret",
            "kcmp",
            "perf_event_open",
            "bpf",
            "mount",
            "setns",
            "unshare",
            "name_to_handle_at",
            "process_vm_readv",
            "add_key",
        ],
    )
    async def test_calls_are_refused_by_the_filter(self, name, jail):
        """With arguments that no other check would answer by EPERM first: all zero."""
        number = seccomp.DENIED[name][0 if os.uname().machine == "x86_64" else 1]
        assert await python(jail, CALL + f"print(call({number}, 0, 0, 0, 0, 0))") == "Operation not permitted\n"

    @pytest.mark.skipif(OWNER is None, reason="an ordinary user is refused without it")
    @pytest.mark.parametrize("name", ["userfaultfd", "memfd_secret", "perf_event_open", "bpf", "mount", "setns"])
    def test_calls_of_the_powerful_pass_without_it(self, name):
        number = seccomp.DENIED[name][0 if os.uname().machine == "x86_64" else 1]
        said = ask(PYTHON, "-c", CALL + f"print(call({number}, 0, 0, 0, 0, 0))").stdout
        if said == "Operation not permitted\n":
            pytest.skip("this machine refuses it to root as well")
        assert said

    @pytest.mark.parametrize(
        "name",
        ["ptrace", "keyctl", "io_uring_setup", "kcmp", "unshare", "name_to_handle_at", "process_vm_readv", "add_key"],
    )
    async def test_the_same_calls_pass_without_it(self, name, open_jail):
        number = seccomp.DENIED[name][0 if os.uname().machine == "x86_64" else 1]
        assert await python(open_jail, CALL + f"print(call({number}, 0, 0, 0, 0, 0))") != "Operation not permitted\n"

    async def test_no_new_user_namespace(self, jail):
        assert "Operation not permitted" in await bash(jail, "unshare -Ur true")

    async def test_clone3_does_not_exist(self, jail, open_jail):
        code = CALL + "print(call(435, 0, 0))"
        assert await python(open_jail, code) == "Invalid argument\n"  # it is there, and wants arguments
        assert await python(jail, code) == "Function not implemented\n"

    @pytest.mark.parametrize(("family", "kind"), RARE)
    async def test_rare_sockets_do_not_exist(self, family, kind, jail, open_jail):
        code = f"import socket; socket.socket({family}, {kind}); print('MADE')"
        if "Address family not supported" in await python(open_jail, code):
            assert family != PACKET
            pytest.skip("this machine's kernel has none of them at all")
        said = await python(jail, code)
        assert "Address family not supported" in said

    async def test_processes_of_the_host_are_not_there(self, jail):
        assert "No such process" in await bash(jail, f"kill -9 {os.getpid()}")
        pids = (await python(jail, "import os; print(len([p for p in os.listdir('/proc') if p.isdigit()]))")).strip()
        assert int(pids) <= 4

    async def test_killing_everything_kills_only_oneself(self, jail):
        ended = await jail.run(["bash", "-c", "kill -9 -1; kill -9 1; echo alive"], timeout=10)
        assert ended.exit_code in (0, 137)
        assert (await jail.run(["true"], timeout=10)).exit_code == 0


class TestLimits:
    """One jail cannot take the machine."""

    async def test_a_fork_bomb_ends_at_the_number_of_processes(self, make_jail, open_jail, tree):
        code = """
        import os, signal, time
        n = 0
        try:
            while n < 150:
                if os.fork() == 0:
                    time.sleep(5); os._exit(0)
                n += 1
        except BlockingIOError:
            pass
        print(n)
        """
        assert int(await python(open_jail, code)) == 150
        assert int(await python(make_jail(tree, settings.Sandbox(processes=64)), code)) < 64

    async def test_a_full_jail_does_not_starve_another(self, make_jail, open_jail, tree):
        held = "for i in {1..70}; do sleep 3 & done 2>/dev/null; wait"
        bound = ["prlimit", "--nproc=64", "bash", "-c"]  # of a user, as everywhere but in a namespace of its own
        hog = asyncio.ensure_future(open_jail.run([*bound, held], timeout=2))
        await asyncio.sleep(0.7)
        starved = await open_jail.run([*bound, "sleep 0 | cat; echo fine"], timeout=10)
        assert "Resource temporarily unavailable" in starved.output
        await hog
        small = settings.Sandbox(processes=64)
        full = make_jail(tree, small)
        bomb = asyncio.ensure_future(
            full.run(["bash", "-c", ":(){ :|:& };: 2>/dev/null; sleep 3"], timeout=2, max_output=100)
        )
        await asyncio.sleep(0.7)
        ended = await make_jail(tree, small).run(["bash", "-c", "sleep 0 | cat; echo fine"], timeout=10)
        assert ended.output == "fine\n"
        await bomb
        assert marked(full._mark) == []

    async def test_memory_of_a_process_is_bounded(self, make_jail, open_jail, tree):
        code = "b = bytearray(700 << 20); print('TOOK IT')"
        assert await python(open_jail, code) == "TOOK IT\n"
        assert "MemoryError" in await python(make_jail(tree, settings.Sandbox(memory_mb=512)), code)

    async def test_a_flood_of_output_is_bounded(self, jail):
        assert len(ask("bash", "-c", "yes | head -c 20000000").stdout) == 20_000_000  # a careless reader keeps it all
        ended = await jail.run(["bash", "-c", "yes | head -c 20000000; echo end"], timeout=10, max_output=10_000)
        assert ended.truncated
        assert len(ended.output) < 10_100
        assert ended.output.endswith("y\nend\n")

    async def test_an_endless_flood_is_stopped_and_named(self, jail):
        assert ask("bash", "-c", "yes | head -c 300000000 | wc -c").stdout == "300000000\n"  # and it goes on
        ended = await jail.run(["yes"], timeout=60, max_output=10_000)
        assert (ended.exit_code, ended.timed_out) == (137, False)
        assert ended.output.endswith("... stopped: more than 256 MiB of output ...\n")

    async def test_no_core_is_written(self, jail, open_jail, tree):
        line = "ulimit -c unlimited && echo RAISED; kill -SEGV $$"
        said = await bash(open_jail, line)
        if "RAISED" in said and not CORES_GO_ELSEWHERE:
            (core,) = names(tree)  # the worker's own limit lets it, and it goes where the program stood
            (tree / core).unlink()
        assert "RAISED" not in await bash(jail, line)
        assert names(tree) == []

    @pytest.mark.parametrize(("what", "low"), [("-u", 64), ("-n", 64), ("-f", 64), ("-d", 100_000)])
    async def test_limits_cannot_be_raised(self, what, low, jail, open_jail):
        soft = f"ulimit -S {what} {low}; ulimit -S {what} {low * 2} && echo RAISED"
        assert await bash(open_jail, soft) == "RAISED\n"  # a limit that is not hard as well is no limit
        assert "cannot modify limit" in await bash(jail, f"ulimit {what} unlimited")


ESCAPES = {
    "background": "sleep 7654401 &",
    "setsid": "setsid sleep 7654402 &",
    "nohup": "nohup sleep 7654403 >/dev/null 2>&1 &",
    "double fork": "(setsid bash -c 'setsid sleep 7654404 & disown' &)",
    "deaf": "(trap '' TERM HUP INT QUIT; setsid sleep 7654405 &)",
}


class TestLife:
    """Nothing outlives its run."""

    @pytest.mark.parametrize("way", ESCAPES)
    async def test_children_end_with_the_command(self, way, jail):
        launched("bash", "-c", ESCAPES[way] + "\nexit 0", GW_RUN="careless").wait()
        assert await within(2, lambda: bool(marked("careless"))), "the escape itself does not work"
        await sweep("careless")
        ended = await jail.run(["bash", "-c", ESCAPES[way] + "\necho over"], timeout=10)
        assert ended.output == "over\n"
        assert marked(jail._mark) == []
        assert sleepers() == []

    @pytest.mark.parametrize("way", ESCAPES)
    async def test_children_end_with_the_time(self, way, jail):
        begun = time.monotonic()
        ended = await jail.run(["bash", "-c", ESCAPES[way] + "\ntrap '' TERM; sleep 7654410"], timeout=0.4)
        assert ended.timed_out
        assert time.monotonic() - begun < 1.4
        assert sleepers() == []

    async def test_children_end_with_a_cancelled_run(self, jail):
        task = asyncio.ensure_future(jail.run(["bash", "-c", ESCAPES["setsid"] + "\nsleep 7654411"], timeout=10))
        await asyncio.sleep(0.3)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert sleepers() == []

    @pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGKILL, signal.SIGINT])
    async def test_children_end_with_the_wrapper(self, sent, jail):
        path = jail.wrapper(["bash", "-c", ESCAPES["deaf"] + "\nsleep 7654412"], env={})
        # Who runs the tests in the background of a shell hands SIGINT down as ignored.
        process = await asyncio.create_subprocess_exec("env", "--default-signal=INT", path)
        await asyncio.sleep(0.3)
        assert sleepers()
        process.send_signal(sent)
        await process.wait()
        await gone()

    async def test_children_end_with_a_worker_that_is_killed(self, jail, tree, work):
        """The worker is a process of its own, killed without a chance to clean up."""
        line = ESCAPES["deaf"] + "\nsleep 7654413"
        code = f"""
        import asyncio
        from pathlib import Path
        from bot import settings
        from runners.workspace.sandbox import Sandbox
        jail = Sandbox.create(settings.Sandbox(), Path({str(tree)!r}), directory=Path({str(work / "killed")!r}))
        asyncio.run(jail.run(["bash", "-c", {line!r}], timeout=60))
        """
        with launched(sys.executable, "-c", textwrap.dedent(code)) as worker:
            started = await within(10, lambda: bool(sleepers()))
            await asyncio.sleep(0.2)
            worker.kill()
        assert started
        await gone()

    async def test_a_jail_killed_while_it_starts_is_swept(self, jail):
        """Bubblewrap's inner half survives a kill within its first milliseconds (facts: start race)."""
        for delay in (0, 0.002, 0.004, 0.006, 0.008, 0.01, 0.014, 0.02):
            with pytest.raises(asyncio.CancelledError):
                await cancelled(jail, delay)
            assert marked(jail._mark) == [], delay
            assert sleepers() == [], delay

    async def test_a_jail_asked_for_by_a_worker_that_died_does_not_start(self, make_jail, tree, monkeypatch):
        jail = make_jail(tree)
        with monkeypatch.context() as patch:
            patch.setattr(launch.os, "getpid", lambda: 1)  # as if another process had asked
            path = jail.wrapper(["touch", "ran"], env={})
        assert ask(path).returncode == launch.STALE
        assert names(tree) == []


def passed_on(descriptor: int) -> str:
    """What a child reads whose parent closes nothing."""
    line = f"cat /proc/self/fd/{descriptor}"
    return subprocess.run(["sh", "-c", line], close_fds=False, capture_output=True, text=True, check=True).stdout


async def cancelled(jail: Sandbox, delay: float) -> None:
    task = asyncio.ensure_future(jail.run(["sleep", "7654414"], timeout=10))
    await asyncio.sleep(delay)
    task.cancel()
    await task


async def within(seconds: float, happens: Callable[[], bool]) -> bool:
    for _ in range(round(seconds / 0.02)):
        if happens():
            return True
        await asyncio.sleep(0.02)
    return happens()


def sleepers() -> list[str]:
    listed = ask("ps", "-eo", "stat,args").stdout
    rows = (line.split(None, 1) for line in listed.splitlines())
    return [args for state, args in rows if args.startswith("sleep 76544") and not state.startswith("Z")]


async def gone(seconds: float = 1.0) -> None:
    """The promise: nothing is left after a second."""
    assert await within(seconds, lambda: not sleepers()), sleepers()


@pytest.mark.skipif(OWNER is None, reason="an ordinary worker has one user")
async def test_a_root_worker_gives_the_jail_a_user_without_rights(jail, tree):
    running = asyncio.ensure_future(jail.run(["sleep", "0.6"], timeout=9))
    await asyncio.sleep(0.3)
    (pid, *_) = marked(jail._mark)
    listed = ask("cat", f"/proc/{pid}/status").stdout.splitlines()
    status = dict(line.split(":\t", 1) for line in listed if ":\t" in line)
    assert set(status["Uid"].split()) == set(status["Gid"].split()) == {str(TABLE.user)}
    assert status["Groups"].split() == [str(TABLE.user)]
    await running
