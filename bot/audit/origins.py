"""Ask git which commits lines come from; what it says is to be held to the objects."""

from __future__ import annotations

import re
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec

from bot.audit.objects import ID, Objects, environment

_ESCAPE: Final = re.compile(rb"\\([0-3][0-7]{2}|.)")
_NAMED: Final = {b"a": b"\a", b"b": b"\b", b"t": b"\t", b"n": b"\n", b"v": b"\v", b"f": b"\f", b"r": b"\r"}


class Origin(msgspec.Struct, frozen=True):
    """Where git says that a line comes from: commit, path and line there; `line` is the line here."""

    line: int
    commit: str
    path: bytes
    there: int


def origins(objects: Objects, commit: str, path: str, first: int = 0, last: int = 0) -> list[Origin]:
    """Follow lines (default: all) of a file in a commit; nothing for a path or lines that are not there."""
    span = [f"-L{first},{last}"] if first else []
    return list(_read(_blame(objects, commit, path, span).split(b"\n")))


def _blame(objects: Objects, commit: str, path: str, span: list[str]) -> bytes:
    """Run git blame in a repository of our own over these objects.

    In theirs, settings would name commits to skip and programs to run, and no option takes that back.
    """
    with tempfile.TemporaryDirectory(prefix="gatewright-audit-") as scratch:
        own, shallow = Path(scratch), objects.place("shallow")
        for name in ("objects", "refs"):
            (own / name).mkdir()
        (own / "HEAD").write_text("ref: refs/heads/none\n")
        kind = "\trepositoryformatversion = 1\n[extensions]\n\tobjectFormat = sha256\n" if len(commit) == 64 else ""
        (own / "config").write_text(f"[core]\n\tbare = true\n\tcommitGraph = false\n{kind}")
        if shallow.is_file():
            (own / "shallow").write_bytes(shallow.read_bytes())
        return subprocess.run(
            ["git", f"--git-dir={own}", "blame", "--porcelain", "--root", *span, commit, "--", path],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment() | {"GIT_OBJECT_DIRECTORY": str(objects.place("objects"))},
            check=False,
        ).stdout


def _read(lines: list[bytes]) -> Iterator[Origin]:
    """Read the porcelain form: a commit is described where it comes up first."""
    paths, head = dict[str, bytes](), [""]
    for line in lines:
        words = line.decode("utf-8", errors="replace").split(" ")
        if line.startswith(b"\t"):
            yield Origin(int(head[2]), head[0], paths.get(head[0], b""), int(head[1]))
        elif ID.fullmatch(words[0]) and len(words) in (3, 4):
            head = words
        elif words[0] == "filename":
            paths[head[0]] = _unquoted(line.partition(b" ")[2])


def _unquoted(path: bytes) -> bytes:
    """Read a path that git quotes where it holds quotes, control characters or bytes beyond ASCII."""
    return _ESCAPE.sub(_plain, path[1:-1]) if path.startswith(b'"') else path


def _plain(escape: re.Match[bytes]) -> bytes:
    return bytes([int(escape[1], 8)]) if len(escape[1]) == 3 else _NAMED.get(escape[1], escape[1])
