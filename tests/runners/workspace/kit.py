"""What tests of the workspace share: a place the jail's user gets to, a repository, a mirror, a worktree, jails."""

from __future__ import annotations

import asyncio
import base64
import os
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from bot import settings
from bot.model.event import ForgeKind, Repo
from runners.workspace.files import open_root
from runners.workspace.mirror import Mirror
from runners.workspace.sandbox import Sandbox, probe
from runners.workspace.worktree import Worktree
from tests.conftest import ROOT, missing

TABLE = settings.Sandbox()
OWNER = TABLE.user if os.geteuid() == 0 else None
REPO = Repo(ForgeKind.LOCAL, "localhost", 1, "acme/pay")
IDENTITY = {
    "GIT_AUTHOR_NAME": "Ann",
    "GIT_AUTHOR_EMAIL": "ann@example.org",
    "GIT_COMMITTER_NAME": "Ann",
    "GIT_COMMITTER_EMAIL": "ann@example.org",
    "GIT_CONFIG_GLOBAL": "/dev/null",
    "PATH": "/usr/local/bin:/usr/bin:/bin",
    "HOME": "/nonexistent",
}

MakeJail = Callable[..., Sandbox]


def sh(command: str, cwd: Path, **env: str) -> subprocess.CompletedProcess[str]:
    """Run a shell line as a careless program would."""
    return subprocess.run(
        command, shell=True, cwd=cwd, env={**IDENTITY, **env}, capture_output=True, text=True, check=False, timeout=30
    )


def names(path: Path) -> list[str]:
    return sorted(entry.name for entry in path.iterdir())


def ask(*argv: str | Path) -> subprocess.CompletedProcess[str]:
    """Run a program to its end and answer with its output; it may fail."""
    return subprocess.run(argv, capture_output=True, text=True, check=False, timeout=30)


def launched(*argv: str, **env: str) -> subprocess.Popen[bytes]:
    """Start a program without waiting for it."""
    quiet = subprocess.DEVNULL
    return subprocess.Popen(
        argv,
        stdin=quiet,
        stdout=quiet,
        stderr=quiet,
        start_new_session=True,
        cwd=ROOT,
        env={"PATH": "/usr/bin:/bin", **env},
    )


class Source:
    """An ordinary repository that plays the forge's."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.mkdir()
        self.git("init -q -b main")

    def git(self, line: str) -> str:
        done = sh(f"git {line}", self.path)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def commit(self, files: dict[str, str], message: str = "change") -> str:
        for name, text in files.items():
            (self.path / name).parent.mkdir(parents=True, exist_ok=True)
            (self.path / name).write_text(text)
        self.git("add -A")
        self.git(f"commit -q -m '{message}'")
        return self.git("rev-parse HEAD")


@pytest.fixture
def place() -> Iterator[Path]:
    """A directory that the jail's user can pass through, which pytest's own are not."""
    path = Path(tempfile.mkdtemp(prefix="gw-test-"))
    path.chmod(0o711)
    yield path
    shutil.rmtree(path)


@pytest.fixture
def work(place: Path) -> Path:
    return open_root(place / "work", TABLE.user)


@pytest.fixture
def source(place: Path) -> Source:
    repository = Source(place / "source")
    repository.commit({"calc.py": "def add(a, b):\n    return a - b\n", "docs/read.me": "hello\n"}, "first")
    return repository


@pytest.fixture
async def mirror(work: Path, source: Source) -> Mirror:
    opened = await Mirror.open(work / "mirrors", REPO, str(source.path))
    await opened.fetch()
    return opened


@pytest.fixture
async def worktree(mirror: Mirror, work: Path, source: Source) -> Worktree:
    return await Worktree.create(mirror, work / "1-aaaaaa", source.git("rev-parse HEAD"), owner=OWNER)


@pytest.fixture(scope="session")
def _jails() -> None:
    if reason := probe():
        missing(f"the sandbox cannot start: {reason}")


@pytest.fixture
def make_jail(_jails: None, work: Path) -> MakeJail:
    """Make jails; each in a directory of its own."""
    count = iter(range(100))

    def make(tree: Path, table: settings.Sandbox = TABLE, **more: object) -> Sandbox:
        return Sandbox.create(table, tree, directory=work / f"run-{next(count)}", **more)

    return make


@pytest.fixture
def tree(work: Path) -> Path:
    """An empty directory that belongs to the jail's user."""
    path = work / "tree"
    path.mkdir(mode=0o700)
    if OWNER is not None:
        os.chown(path, OWNER, OWNER)
    return path


@pytest.fixture
def jail(make_jail: MakeJail, tree: Path) -> Sandbox:
    return make_jail(tree)


@pytest.fixture
async def gateway(work: Path) -> AsyncIterator[Path]:
    """A unix socket that answers each line in capitals, owned as the real gateway's is."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write((await reader.readline()).upper())
        await writer.drain()
        writer.close()

    path = work / "gw.sock"
    server = await asyncio.start_unix_server(answer, path)
    if OWNER is not None:
        os.chown(path, OWNER, OWNER)
    path.chmod(0o600)
    yield path
    server.close()
    await server.wait_closed()


class GitServer(ThreadingHTTPServer):
    """`git http-backend` behind HTTP Basic, as a forge serves git; remembers what it was sent."""

    daemon_threads = True

    def __init__(self, root: Path, username: str, password: str) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.root = root
        self.expected = "Basic " + base64.b64encode(f"{username}:{password}".encode()).decode()
        self.seen: list[tuple[str, str]] = []  # request line, Authorization
        self.redirect = ""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/source/.git"


class _Handler(BaseHTTPRequestHandler):
    server: GitServer

    def log_message(self, *args: object) -> None:
        pass

    def _serve(self) -> None:
        given = self.headers.get("Authorization", "")
        self.server.seen.append((self.requestline, given))
        if self.server.redirect:
            self.send_response(301)
            self.send_header("Location", self.server.redirect + self.path)
            self.end_headers()
            return
        if given != self.server.expected:
            self.send_response(401)
            self.send_header("WWW-Authenticate", 'Basic realm="git"')
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self._cgi()

    do_GET = do_POST = _serve  # noqa: N815 - http.server finds them by these names

    def _cgi(self) -> None:
        path, _, query = self.path.partition("?")
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.headers.get("Transfer-Encoding") == "chunked":
            body = self._chunks()
        env = {
            "GIT_PROJECT_ROOT": str(self.server.root), "GIT_HTTP_EXPORT_ALL": "1", "PATH_INFO": path,
            "QUERY_STRING": query, "REQUEST_METHOD": self.command, "REMOTE_USER": "bot",
            "CONTENT_TYPE": self.headers.get("Content-Type", ""), "CONTENT_LENGTH": str(len(body)),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
            "GIT_PROTOCOL": self.headers.get("Git-Protocol", ""), "PATH": IDENTITY["PATH"],
            "GIT_CONFIG_GLOBAL": "/dev/null",
        }  # fmt: skip
        done = subprocess.run(["git", "http-backend"], input=body, env=env, capture_output=True, check=True)
        head, _, content = done.stdout.partition(b"\r\n\r\n")
        fields = dict(line.split(": ", 1) for line in head.decode().splitlines())
        self.send_response(int(fields.pop("Status", "200").split()[0]))
        for name, value in fields.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _chunks(self) -> bytes:
        found = b""
        while size := int(self.rfile.readline(), 16):
            found += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return found


@contextmanager
def serve(root: Path, username: str = "x-access-token", password: str = "s3cr3t-tok3n") -> Iterator[GitServer]:
    server = GitServer(root, username, password)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
