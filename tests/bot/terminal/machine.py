"""A person at this machine: a home of their own, the real command line, and a terminal where one is needed."""

from __future__ import annotations

import asyncio
import codecs
import fcntl
import os
import pty
import re
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import termios
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.conftest import ROOT
from tests.flow.house import toml
from tests.simulators.models import ModelServer

PATIENCE = 60.0
ESCAPE = re.compile(r"\x1b(?:\[[0-9;?]*[A-Za-z]|\][^\x07]*\x07|[()][A-Z0-9])")
# Makes the terminal on descriptor 0 the controlling one, so that Ctrl-C typed there is a signal.
SEAT = "import fcntl,os,sys,termios;os.setsid();fcntl.ioctl(0,termios.TIOCSCTTY,0);os.execv(sys.argv[1],sys.argv[1:])"
GIT = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str


@dataclass
class Machine:
    """`folder` lies where a jail's own user gets to; the home in it is empty."""

    folder: Path
    env: dict[str, str] = field(default_factory=dict)
    prefix: list[str] = field(default_factory=list)  # such as setpriv, to be somebody else

    def __post_init__(self) -> None:
        self.home = self.folder / "home"
        self.home.mkdir(mode=0o755)
        self.config = self.folder / "gatewright.toml"
        self.scratch = self.folder / "tmp"
        self.scratch.mkdir()
        self.scratch.chmod(0o1777)
        self.env = {
            "PATH": os.environ["PATH"], "HOME": str(self.home), "LANG": "C.UTF-8", "TERM": "xterm-256color",
            "TMPDIR": str(self.scratch), **self.env,
        }  # fmt: skip

    def settings(self, **tables: dict[str, Any]) -> None:
        """Write gatewright.toml, and name it as a person would who does so once."""
        self.config.write_text(toml(named(tables)), encoding="utf-8")
        self.config.chmod(0o600)
        self.env["GATEWRIGHT_CONFIG"] = str(self.config)

    def argv(self, *words: str) -> list[str]:
        return [*self.prefix, sys.executable, "-P", "-m", "bot", *words]

    def run(self, *words: str, env: Mapping[str, str] | None = None, seconds: float = PATIENCE) -> Ended:
        """Run `gatewright ...` without a terminal."""
        done = subprocess.run(
            self.argv(*words), env={**self.env, **(env or {})}, stdin=subprocess.DEVNULL, capture_output=True,
            cwd=self.folder, timeout=seconds, check=False,
        )  # fmt: skip
        return Ended(done.returncode, done.stdout.decode(), done.stderr.decode())

    @contextmanager
    def terminal(self, *words: str, env: Mapping[str, str] | None = None) -> Iterator[Terminal]:
        """Run `gatewright ...` at a terminal of 80 columns; whatever is left is ended."""
        seat = Terminal([sys.executable, "-c", SEAT, *self.argv(*words)], {**self.env, **(env or {})}, self.folder)
        try:
            yield seat
        finally:
            seat.close()

    def repository(self, files: Mapping[str, str], name: str = "repo") -> Path:
        """Make a repository with one commit on main."""
        path = self.folder / name
        for file, content in files.items():
            (path / file).parent.mkdir(parents=True, exist_ok=True)
            (path / file).write_text(content)
        git(path, "init", "-q", "-b", "main")
        git(path, "add", "-A")
        git(path, "commit", "-q", "-m", "Begin")
        return path

    def leftovers(self) -> list[str]:
        """Name throw-away folders that were not removed, and processes that still run from here."""
        own = str(self.folder).encode()
        found = [str(path) for path in self.scratch.iterdir()]
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit() and int(entry.name) != os.getpid():
                try:
                    said = (entry / "cmdline").read_bytes() + (entry / "environ").read_bytes()
                except OSError:
                    continue
                if own in said:
                    found.append(f"process {entry.name}: {said[:200]!r}")
        return found


class Terminal:
    """A terminal of 80 columns with a program at it."""

    def __init__(self, argv: list[str], env: Mapping[str, str], cwd: Path) -> None:
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 80, 0, 0))
        self.process = subprocess.Popen(argv, env=env, cwd=cwd, stdin=slave, stdout=slave, stderr=slave)
        os.close(slave)
        self._said = ""
        self._mark = 0
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def text(self) -> str:
        """Everything that was printed, without colours and cursor movements."""
        return re.sub(r"\r+(?!\n)", "\n", ESCAPE.sub("", self._said).replace("\r\n", "\n"))

    def expect(self, words: str, seconds: float = PATIENCE) -> None:
        """Wait until words stand behind those that were expected before."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if (at := self.text.find(words, self._mark)) >= 0:
                self._mark = at + len(words)
                return
            assert self._reader.is_alive() or words in self.text[self._mark :], f"ended without {words!r}:\n{self.text}"
            time.sleep(0.02)
        raise AssertionError(f"{words!r} did not come:\n{self.text}")

    def type(self, keys: str) -> None:
        os.write(self._master, keys.encode())

    def wait(self, seconds: float = PATIENCE) -> int:
        """Wait for the end; return the exit code."""
        code = self.process.wait(seconds)
        self._reader.join(5)
        return code

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()
        self._reader.join(5)
        os.close(self._master)

    def _read(self) -> None:
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        while True:
            try:
                chunk = os.read(self._master, 65_536)
            except OSError:  # what Linux says when nobody holds the other side any more
                return
            if not chunk:
                return
            self._said += decoder.decode(chunk)


def named(tables: Mapping[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Spell `endpoints__here` as the table `endpoints.here`."""
    return {name.replace("__", "."): table for name, table in tables.items()}


def git(path: Path, *words: str) -> str:
    """Ask git as the person, whose own configuration stays out of it."""
    identity = ("-c", "user.name=Mira", "-c", "user.email=mira@example.org", "-c", "safe.directory=*")
    done = subprocess.run(
        ["git", *identity, "-C", str(path), *words], env={**os.environ, **GIT}, capture_output=True, check=True
    )
    return done.stdout.decode()


def snapshot(repo: Path) -> dict[str, Any]:
    """Everything of a checkout that is the person's: files, index, HEAD, branches of theirs, configuration."""
    files = {
        str(path.relative_to(repo)): (path.read_bytes(), path.stat().st_mtime_ns)
        for path in sorted(repo.rglob("*"))
        if path.is_file() and ".git" not in path.relative_to(repo).parts
    }
    inner = {name: (repo / ".git" / name).read_bytes() for name in ("HEAD", "index", "config")}
    branches = git(repo, "for-each-ref", "--format=%(refname) %(objectname)", "refs/heads/main", "refs/stash")
    return {"files": files, "git": inner, "branches": branches, "status": git(repo, "status", "--porcelain")}


@contextmanager
def new_machine(**more: Any) -> Iterator[Machine]:
    """Make a machine, and remove it."""
    folder = Path(tempfile.mkdtemp(prefix="gw-t-", dir="/var/tmp"))
    folder.chmod(0o711)
    try:
        yield Machine(folder, **more)
    finally:
        shutil.rmtree(folder)


WISH = "Retry the payment client with back-off"
DIGEST = re.compile(r"tasks approve (\S+) ([0-9a-f]{12})")


def asked(model: ModelServer) -> None:
    """Wait until the model was asked something."""
    deadline = time.monotonic() + 60
    while not model.requests and time.monotonic() < deadline:
        time.sleep(0.02)


async def call(machine: Machine, *words: str, **more: str) -> Ended:
    return await asyncio.to_thread(machine.run, *words, env=more)


def waiting(ended: Ended) -> tuple[str, str]:
    """Task and digest out of the hint how to go on."""
    found = DIGEST.search(ended.err)
    assert found, ended.err
    return found[1], found[2]


__all__ = ["ROOT", "WISH", "Ended", "Machine", "Terminal", "asked", "call", "git", "new_machine", "snapshot", "waiting"]
