"""Read git objects without believing git: every object is hashed again, replacements and settings are off.

This is the only place of bot/audit that starts git, and it only reads.
"""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import IO, Final, Self

import msgspec

from bot.model.errors import GatewrightError

ID: Final = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
# No replaced objects, no configuration but the repository's own, no lazy fetch from wherever that points.
ENVIRONMENT: Final = {
    "GIT_NO_REPLACE_OBJECTS": "1",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_ALLOW_PROTOCOL": "none",
    "GIT_NO_LAZY_FETCH": "1",
    "GIT_OPTIONAL_LOCKS": "0",
    "GIT_TERMINAL_PROMPT": "0",
    "LC_ALL": "C",
}


class ObjectMissing(GatewrightError):
    """An object that is not in this repository."""

    def __init__(self, oid: str) -> None:
        super().__init__(
            "GW-AUDIT-OBJECT-MISSING",
            f"object {oid} is not in this repository",
            why="the clone is shallow or partial, or the branch that held it is gone",
            fix="git fetch --unshallow, or fetch refs/gatewright/audit/*",
        )
        self.oid = oid


class ObjectAltered(GatewrightError):
    """An object whose content does not hash to its id, or is of another kind than whoever names it says."""

    def __init__(self, oid: str, why: str) -> None:
        super().__init__("GW-AUDIT-OBJECT-ALTERED", f"object {oid} is not what its id says", why=why)
        self.oid = oid


class TreeEntry(msgspec.Struct, frozen=True):
    """One entry of a tree; `mode` as `git ls-tree` prints it."""

    path: bytes
    mode: str
    oid: str

    @property
    def is_tree(self) -> bool:
        """Tell whether this is a directory."""
        return self.mode == "040000"


class Commit(msgspec.Struct, frozen=True):
    """The parts of a commit that bind content and order."""

    oid: str
    tree: str
    parents: tuple[str, ...]
    author: str = ""  # as written: name, address, time
    message: str = ""

    def trailers(self, name: str) -> list[str]:
        """List the values of a trailer: lines `<name>: <value>` of the last paragraph."""
        last = self.message.rstrip().rpartition("\n\n")[2]
        return [line.partition(": ")[2].strip() for line in last.splitlines() if line.startswith(f"{name}: ")]


class Objects:
    """One repository's objects, through one `git cat-file --batch`."""

    def __init__(self, git_dir: Path) -> None:
        self.git_dir = git_dir
        self._reader: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """End the reading process."""
        if self._reader is not None:
            for pipe in (self._reader.stdin, self._reader.stdout):
                if pipe is not None:
                    pipe.close()
            self._reader.wait()
            self._reader = None

    def resolve(self, rev: str) -> str | None:
        """Find the commit a revision names, None where there is none."""
        if rev.startswith("-") or not rev.isprintable():
            return None
        found = self._git("rev-parse", "--verify", "--quiet", f"{rev}^{{commit}}").decode().strip()
        return found if ID.fullmatch(found) else None

    def refs(self, *patterns: str) -> dict[str, str]:
        """List references by name; patterns are prefixes that end at a slash, or globs."""
        listing = self._git("for-each-ref", "--format=%(refname) %(objectname)", *patterns).decode(errors="replace")
        pairs = (line.rpartition(" ") for line in listing.splitlines())
        return {name: oid for name, _, oid in pairs}

    @property
    def is_shallow(self) -> bool:
        """Tell whether history was cut off when cloning."""
        return self._git("rev-parse", "--is-shallow-repository").strip() == b"true"

    @property
    def is_grafted(self) -> bool:
        """Tell whether somebody gave commits other parents in a file that git follows."""
        return (self.git_dir / "info" / "grafts").exists()

    def read(self, oid: str, kind: str) -> bytes:
        """Read one object of a kind; raise ObjectMissing, or ObjectAltered where it is not what its id says."""
        found, content = self._fetch(oid)
        if found != kind:
            raise ObjectAltered(oid, f"a {found} stands where a {kind} is named")
        hasher = hashlib.sha1(usedforsecurity=False) if len(oid) == 40 else hashlib.sha256()
        hasher.update(f"{kind} {len(content)}\0".encode())
        hasher.update(content)
        if hasher.hexdigest() != oid:
            raise ObjectAltered(oid, "its stored bytes hash to " + hasher.hexdigest())
        return content

    def commit(self, oid: str) -> Commit:
        """Read a commit."""
        tree, parents, author = "", [], ""
        head, _, message = self.read(oid, "commit").partition(b"\n\n")
        for line in head.split(b"\n"):
            name, _, value = line.partition(b" ")
            if name == b"tree":
                tree = value.decode("ascii")
            elif name == b"parent":
                parents.append(value.decode("ascii"))
            elif name == b"author":
                author = value.decode("utf-8", errors="replace")
        return Commit(oid, tree, tuple(parents), author, message.decode("utf-8", errors="replace"))

    def tree(self, oid: str) -> Iterator[TreeEntry]:
        """Read the entries of one tree."""
        raw, width, at = self.read(oid, "tree"), len(oid) // 2, 0
        while at < len(raw):
            end = raw.index(b"\0", at)
            mode, _, name = raw[at:end].partition(b" ")
            at = end + 1 + width
            yield TreeEntry(name, _canonical(int(mode, 8)), raw[end + 1 : at].hex())

    def walk(self, oid: str, above: bytes = b"") -> Iterator[TreeEntry]:
        """Read everything below a tree that is no tree itself, with paths from there."""
        for entry in self.tree(oid):
            path = above + entry.path
            if entry.is_tree:
                yield from self.walk(entry.oid, path + b"/")
            else:
                yield TreeEntry(path, entry.mode, entry.oid)

    def find(self, commit: str, path: bytes) -> TreeEntry | None:
        """Find what lies at a path in a commit, None for nothing."""
        oid = self.commit(commit).tree
        names = path.split(b"/")
        for depth, name in enumerate(names, 1):
            entry = next((one for one in self.tree(oid) if one.path == name), None)
            if entry is None or depth == len(names):
                return entry
            if not entry.is_tree:
                return TreeEntry(path, entry.mode, entry.oid)
            oid = entry.oid
        return None

    def place(self, name: str) -> Path:
        """Name where git keeps a file of its own, such as `objects` or `shallow`."""
        said = self._git("rev-parse", "--path-format=absolute", "--git-path", name)
        return Path(said.decode(errors="surrogateescape").rstrip("\n"))

    def _fetch(self, oid: str) -> tuple[str, bytes]:
        if not ID.fullmatch(oid):
            raise ObjectMissing(oid[:80])
        if self._reader is None or self._reader.poll() is not None:
            self.close()
            self._reader = self._start()
        stdin, stdout = _pipes(self._reader)
        try:
            stdin.write(oid.encode() + b"\n")
            stdin.flush()
        except BrokenPipeError:
            raise ObjectAltered(oid, "git gave up reading") from None
        head = stdout.readline().split()
        if len(head) == 2:
            raise ObjectMissing(oid)
        if len(head) != 3:
            raise ObjectAltered(oid, "git cannot read it")
        content = stdout.read(int(head[2]))
        stdout.read(1)
        return head[1].decode("ascii"), content

    def _start(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            self._command("cat-file", "--batch"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment(),
        )

    def _git(self, *arguments: str) -> bytes:
        done = subprocess.run(
            self._command(*arguments),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment(),
            check=False,
        )
        return done.stdout

    def _command(self, *arguments: str) -> list[str]:
        # Reading objects runs nothing of the repository's, so its owner need not be us.
        return ["git", "-c", "safe.directory=*", f"--git-dir={self.git_dir}", *arguments]


def git_dir_of(path: Path) -> Path | None:
    """Find the git directory of a checkout or bare repository at exactly this path."""
    if (path / ".git").exists():
        return path / ".git"
    if (path / "HEAD").is_file() and (path / "objects").is_dir() and (path / "refs").is_dir():
        return path
    return None


def environment() -> dict[str, str]:
    """Take what this process has, less whatever steers git."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    return kept | ENVIRONMENT


def _pipes(process: subprocess.Popen[bytes]) -> tuple[IO[bytes], IO[bytes]]:
    if process.stdin is None or process.stdout is None:
        raise ValueError("the reader was started without pipes")
    return process.stdin, process.stdout


def _canonical(mode: int) -> str:
    """Spell a mode as git does: old trees hold 100664 and the like."""
    if mode & 0o170000 == 0o100000:
        return "100755" if mode & 0o100 else "100644"
    return f"{mode:06o}"
