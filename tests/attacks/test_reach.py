"""Attacks on what is outside of the jail, each first seen to work without the wall that stops it.

The control is plain code of the same user, or our own jail with one option taken away.
"""

# ruff: noqa: ASYNC220, ASYNC240, ASYNC251 - a test may hold up its own loop
from __future__ import annotations

import os
import secrets
import shutil
import socket
import subprocess
import sys
import textwrap
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

from runners.workspace.open import OpenJail
from tests.attacks.parts import PYTHON, bash, python, weakened
from tests.conftest import ROOT, missing
from tests.runners.workspace.kit import OWNER, TABLE, ask

SECCOMP = ("--seccomp", "8")
BECOME = () if OWNER is None else ("setpriv", "--reuid", str(OWNER), "--regid", str(OWNER), "--clear-groups")


@pytest.fixture
def open_jail(tree: Path, work: Path) -> OpenJail:
    return OpenJail(TABLE, tree, directory=work / "open")


@contextmanager
def neighbour(**env: str):
    """A process of the very user that jails run as, but outside."""
    with subprocess.Popen([*BECOME, "sleep", "60"], env={"PATH": "/usr/bin:/bin", **env}) as process:
        time.sleep(0.1)
        try:
            yield process
        finally:
            process.kill()


class TestProcesses:
    """Whoever runs as the same user on the same machine."""

    async def test_their_environment_is_out_of_sight(self, jail, open_jail):
        look = "cat /proc/[0-9]*/environ /proc/[0-9]*/task/*/environ 2>/dev/null | tr '\\0' '\\n'"
        with neighbour(SECRET="of-a-neighbour"):
            assert "of-a-neighbour" in await bash(open_jail, look)
            assert "of-a-neighbour" not in await bash(jail, look)

    async def test_their_files_and_folders_are_out_of_sight(self, jail, open_jail):
        with neighbour() as process:
            look = f"ls /proc/{process.pid}/root/root /proc/{process.pid}/cwd /proc/{process.pid}/fd"
            assert f"/proc/{process.pid}/fd:\n0\n1\n2\n" in await bash(open_jail, look)
            assert (await bash(jail, look)).count("No such file or directory") == 3

    @pytest.mark.parametrize("sent", ["STOP", "KILL"])
    async def test_they_get_no_signal(self, sent, jail, open_jail):
        with neighbour() as process:
            assert "No such process" in await bash(jail, f"kill -{sent} {process.pid}")
            assert process.poll() is None
            await bash(open_jail, f"kill -{sent} {process.pid}; sleep 0.1")
            state = ask("ps", "-o", "stat=", "-p", str(process.pid)).stdout
            assert state.startswith("T" if sent == "STOP" else "Z")

    @pytest.mark.skipif(OWNER is None, reason="it would end whatever runs as this user")
    async def test_a_signal_to_everybody_reaches_nobody(self, work, tree, make_jail):
        from bot import settings

        user = 300_000 + secrets.randbelow(100_000)  # nobody else's
        table = settings.Sandbox(user=user)
        os.chown(tree, user, user)
        work.chmod(0o711)
        become = ["setpriv", "--reuid", str(user), "--regid", str(user), "--clear-groups"]
        with subprocess.Popen([*become, "sleep", "60"]) as process:
            time.sleep(0.1)
            await make_jail(tree, table).run(["bash", "-c", "kill -9 -1; kill -9 1"], timeout=10)
            assert process.poll() is None
            ask(*become, "bash", "-c", "kill -9 -1")
            assert process.wait(5) == -9

    async def test_they_are_not_traced(self, jail, open_jail):
        code = """
        import ctypes, os, sys
        libc = ctypes.CDLL(None, use_errno=True)
        print(os.strerror(ctypes.get_errno()) if libc.ptrace(16, %d, 0, 0) < 0 else "ATTACHED")  # PTRACE_ATTACH
        """
        with neighbour() as process:
            assert "ATTACHED" in await python(open_jail, code % process.pid)
            assert await python(jail, code % process.pid) == "Operation not permitted\n"

    async def test_their_memory_is_not_read(self, jail, open_jail):
        code = "print(open('/proc/%d/mem', 'rb', 0) and 'OPENED')"
        with neighbour() as process:
            assert await python(open_jail, code % process.pid) == "OPENED\n"
            assert "No such file" in await python(jail, code % process.pid)


SEGMENT = """
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
print("GOT" if libc.shmget(%d, 4096, %d) >= 0 else "none")
"""


class TestShared:
    """What jails of one user could pass to each other."""

    async def test_memory_of_system_v(self, jail, make_jail, open_jail, tree):
        key = secrets.randbelow(1 << 30) + 1
        keep = SEGMENT % (key, 0o1600)  # IPC_CREAT
        assert await python(open_jail, keep) == "GOT\n"
        assert await python(open_jail, SEGMENT % (key, 0)) == "GOT\n"
        assert await python(jail, SEGMENT % (key, 0)) == "none\n"
        assert await python(jail, keep) == "GOT\n"
        assert await python(make_jail(tree), SEGMENT % (key, 0)) == "none\n"
        ask(*BECOME, "ipcrm", "-M", str(key))

    @pytest.mark.parametrize("folder", ["/dev/shm", "/tmp", "/home/agent"])
    async def test_files_in_scratch_space(self, folder, jail, make_jail, tree, open_jail):
        name = f"gw-{secrets.token_hex(6)}"
        place = "/tmp" if folder == "/home/agent" else folder
        assert await bash(open_jail, f"echo x > {place}/{name}; cat {place}/{name}") == "x\n"
        assert Path(place, name).exists()
        Path(place, name).unlink()
        assert await bash(jail, f"echo x > {folder}/{name}; cat {folder}/{name}") == "x\n"
        assert "No such file" in await bash(make_jail(tree), f"cat {folder}/{name}")
        assert not Path(folder, name).exists()

    async def test_message_queues(self, jail, make_jail, tree, open_jail):
        name = f"/gw-{secrets.token_hex(6)}"
        make = f"import ctypes; print(ctypes.CDLL(None).mq_open({name.encode()!r}, 0o102, 0o600, None) >= 0)"
        look = f"import ctypes; print(ctypes.CDLL(None).mq_open({name.encode()!r}, 2) >= 0)"
        assert [await python(open_jail, code) for code in (make, look)] == ["True\n", "True\n"]
        await python(open_jail, f"import ctypes; ctypes.CDLL(None).mq_unlink({name.encode()!r})")
        assert await python(jail, make) == "True\n"
        assert await python(make_jail(tree), look) == "False\n"


class TestServices:
    """What listens on the machine or near it."""

    async def test_redis_is_out_of_reach(self, jail, open_jail, work):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        path = work / "redis.sock"
        options = [
            "--port",
            port,
            "--bind",
            "127.0.0.1",
            "--unixsocket",
            path,
            "--unixsocketperm",
            "777",
            "--dir",
            work,
        ]
        with subprocess.Popen(
            [redis_server(), *map(str, options), "--save", ""], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        ) as server:
            try:
                await_redis(path)
                ping = f"exec 3<>/dev/tcp/127.0.0.1/{port} && printf 'PING\\r\\n' >&3 && head -n 1 <&3"
                over = f"printf 'PING\\r\\n' | timeout 1 socat - UNIX-CONNECT:{path}"
                assert "+PONG" in await bash(open_jail, ping)
                assert "+PONG" in await bash(open_jail, over)
                assert "refused" in await bash(jail, ping)
                assert "No such file" in await bash(jail, over)
            finally:
                server.terminate()

    @pytest.mark.parametrize("address", ["169.254.169.254", "100.100.100.200", "10.0.0.1"])
    def test_metadata_of_a_cloud_is_out_of_reach(self, address, work, tree):
        """In a network of its own, in which somebody does answer there."""
        script = textwrap.dedent(METADATA)
        paths = os.pathsep.join([str(ROOT), *(p for p in sys.path if p.endswith("site-packages"))])
        flags = "-n" if OWNER is not None else "-rn"
        argv = [sys.executable, "-c", script, address, "" if OWNER is None else str(tree), str(work / "m")]
        seen = subprocess.run(
            ["unshare", flags, *argv],
            env={"PATH": os.environ["PATH"], "PYTHONPATH": paths},
            capture_output=True, text=True, check=False, timeout=60,
        )  # fmt: skip
        assert "plain: CONNECTED" in seen.stdout, seen.stderr
        if OWNER is not None:
            assert "unreachable" in seen.stdout.partition("jail: ")[2]

    async def test_a_name_server_is_out_of_reach(self, jail, open_jail):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
            server.bind(("127.0.0.1", 0))
            code = f"import socket as s; c = s.socket(s.AF_INET, s.SOCK_DGRAM); c.sendto(b'x', {server.getsockname()})"
            await python(open_jail, code)
            server.settimeout(2)
            assert server.recv(9) == b"x"
            await python(jail, code)
            server.settimeout(0.3)
            with pytest.raises(TimeoutError):
                server.recv(9)


def redis_server() -> Path:
    """Find one without the client library, which not every Python of another user can load."""
    found = shutil.which("redis-server")
    brought = [path for folder in sys.path for path in Path(folder).glob("*/bin/redis-server")]
    if found is None and not brought:
        missing("redis-server")
    return Path(found or brought[0])


def await_redis(path: Path) -> None:
    for _ in range(200):
        with socket.socket(socket.AF_UNIX) as client:
            try:
                client.connect(str(path))
            except OSError:
                time.sleep(0.05)
            else:
                return
    pytest.fail("the server does not start")


METADATA = """
import asyncio, fcntl, socket, struct, subprocess, sys
from pathlib import Path

address, tree, directory = sys.argv[1:]
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
    for name, raw in (("lo", "127.0.0.1"), ("lo:1", address)):
        there = struct.pack("16sHH4s8x", name.encode(), socket.AF_INET, 0, socket.inet_aton(raw))
        fcntl.ioctl(any_socket, 0x8916, there)  # SIOCSIFADDR
        fcntl.ioctl(any_socket, 0x8914, struct.pack("16sH14x", name.encode(), 0x41))  # SIOCSIFFLAGS: up, running
server = socket.create_server((address, 80))
line = f"exec 3<>/dev/tcp/{address}/80 && echo CONNECTED"
print("plain:", subprocess.run(["bash", "-c", line], capture_output=True, text=True).stdout, flush=True)
if tree:
    from bot import settings
    from runners.workspace.sandbox import Sandbox
    jail = Sandbox.create(settings.Sandbox(), Path(tree), directory=Path(directory))
    print("jail:", asyncio.run(jail.run(["bash", "-c", line], timeout=20)).output)
"""

INJECT = """
import fcntl, os, pty, termios
ours, theirs = pty.openpty()
if os.fork() == 0:
    os.setsid()
    fcntl.ioctl(theirs, termios.TIOCSCTTY, 0)
    try:
        fcntl.ioctl(theirs, termios.TIOCSTI, b"x")
        os.write(1, b"INJECTED\\n")
    except OSError as error:
        os.write(1, f"{error.strerror}\\n".encode())
    os._exit(0)
os.wait()
"""


class TestWalls:
    """Single options of the jail: without it the attack works, with it not."""

    async def test_no_keystrokes_are_put_into_a_terminal(self, jail):
        legacy = Path("/proc/sys/dev/tty/legacy_tiocsti")
        if not legacy.exists() or legacy.read_text() == "1\n":
            assert weakened(jail, [PYTHON, "-c", INJECT], SECCOMP) == "INJECTED\n"
        assert await python(jail, INJECT) == "Operation not permitted\n"

    @pytest.mark.parametrize("path", ["/x", "/etc/x", "/run/x", "/opt/x"])
    async def test_the_root_is_read_only(self, path, jail):
        line = f"mkdir -p {Path(path).parent}; echo x > {path} && echo WROTE"
        assert "WROTE" in weakened(jail, ["bash", "-c", line], ("--remount-ro", "/"))
        assert "WROTE" not in await bash(jail, line)

    async def test_dev_is_read_only(self, jail):
        assert "WROTE" in weakened(jail, ["bash", "-c", "echo x > /dev/x && echo WROTE"], ("--remount-ro", "/dev"))
        assert "WROTE" not in await bash(jail, "echo x > /dev/x && echo WROTE")

    async def test_no_user_namespace_is_made(self, jail):
        line = "unshare -Ur true && echo MADE"
        assert "MADE" in weakened(jail, ["bash", "-c", line], SECCOMP, ("--disable-userns",))
        assert "MADE" not in weakened(jail, ["bash", "-c", line], SECCOMP)  # either wall is enough
        assert "MADE" not in weakened(jail, ["bash", "-c", line], ("--disable-userns",))
        assert "MADE" not in await bash(jail, line)

    async def test_nothing_is_mounted(self, jail):
        line = "unshare -Urm sh -c 'mount -t tmpfs x /tmp && echo MOUNTED'"
        assert "MOUNTED" in weakened(jail, ["bash", "-c", line], SECCOMP, ("--disable-userns",))
        assert "MOUNTED" not in await bash(jail, line)

    async def test_the_name_of_the_machine_stays_its_own(self, jail):
        assert socket.gethostname() not in await bash(jail, "uname -n")
        assert (await bash(jail, "uname -n")).strip() == "sandbox"

    async def test_the_environment_starts_empty(self, jail, monkeypatch):
        monkeypatch.setenv("PLANTED", "by-the-worker")
        assert "by-the-worker" in ask("env").stdout
        assert "by-the-worker" not in await bash(jail, "env; cat /proc/[0-9]*/environ")

    @pytest.mark.skipif(OWNER is None, reason="needs a program that belongs to root")
    async def test_programs_of_root_give_nothing(self, jail, tree, open_jail):
        shutil.copy("/usr/bin/id", tree / "id")
        (tree / "id").chmod(0o4755)
        assert ask(*BECOME, tree / "id", "-u").stdout == "0\n"
        assert await bash(jail, "./id -u") == "1000\n"

    async def test_no_core_is_written(self, jail, open_jail, tree):
        line = "ulimit -c unlimited; kill -SEGV $$"
        if not Path("/proc/sys/kernel/core_pattern").read_text().startswith(("|", "/")):
            await bash(open_jail, line)
            assert [path.name for path in tree.iterdir() if path.name.startswith("core")]
            for path in tree.iterdir():
                path.unlink()
        await bash(jail, line)
        assert list(tree.iterdir()) == []

    @pytest.mark.parametrize("path", ["/sys/kernel", "/etc/shadow", "/var/log", "/boot", "/srv", "/root"])
    async def test_places_of_the_host_are_not_there(self, path, jail):
        assert ask("ls", "-d", path).returncode == 0, "the host has no such place"
        assert "No such file" in await bash(jail, f"ls -d {path}")
