"""Submodules that a commit names: which stand where, and where each may be fetched from; decided by its own rows."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from typing import Final
from urllib.parse import urlsplit

import msgspec

from runners.workspace.git import Git
from runners.workspace.patch import GITLINK, judge_name

FILE: Final = ".gitmodules"
FILE_BYTES: Final = 1 << 20
MOST: Final = 64  # of one commit
PLAIN: Final = re.compile(
    r"^[A-Za-z0-9._~+/-]*\Z"
)  # no escapes, queries or odd spellings: a path is what it looks like
PORTS: Final = {"http": 80, "https": 443}
OFF: Final = "submodules are off: [workspace] submodules"


class Module(msgspec.Struct, frozen=True):
    """One submodule; `url` is empty where it is not fetched, and `why` then says why."""

    path: str
    commit: str
    url: str = ""
    why: str = ""


async def named(git: Git, commit: str, above: str, prefixes: Sequence[str]) -> list[Module]:
    """List the submodules of a commit that was fetched from `above`, each with its URL or with why it has none."""
    rows = await listed(git, commit)
    links = {path: oid for path, (mode, oid) in rows.items() if mode == GITLINK}
    if not links:
        return []
    if not prefixes:
        return [Module(path, oid, why=OFF) for path, oid in links.items()]
    mode, oid = rows.get(FILE, ("", ""))
    said = await _said(git, oid) if mode.startswith("100") else {}
    found = [_judge(path, oid, said.get(path, set()), above, prefixes) for path, oid in links.items()]
    return found[:MOST] + [Module(each.path, each.commit, why=f"beyond {MOST} submodules") for each in found[MOST:]]


async def listed(git: Git, commit: str) -> dict[str, tuple[str, str]]:
    """Read path -> (mode, object) of a whole commit."""
    lines = (line.split(b"\t", 1) for line in (await git.run("ls-tree", "-r", "-z", commit)).split(b"\0")[:-1])
    return {os.fsdecode(path): (meta.split()[0].decode(), meta.split()[2].decode()) for meta, path in lines}


def resolve(above: str, url: str) -> str:
    """Make a URL absolute as git does, but never out of the host; empty where it leads nowhere sensible."""
    if not url.startswith(("./", "../")):
        return url
    scheme, mark, rest = above.rstrip("/").partition("://")
    if not mark:
        return ""  # a repository of this machine
    host, *parts = rest.split("/")
    while url.startswith(("./", "../")):
        if url.startswith("../"):
            if not parts:
                return ""
            parts.pop()
        url = url[url.index("/") + 1 :]
    return f"{scheme}://{'/'.join((host, *parts, url))}"


def is_allowed(url: str, prefixes: Sequence[str]) -> bool:
    """Tell whether a URL is a plain http(s) address at or below one of the prefixes, by whole parts of its path."""
    place = _place(url)
    return place is not None and any(
        prefix is not None and place[0] == prefix[0] and place[1][: len(prefix[1])] == prefix[1]
        for prefix in map(_place, prefixes)
    )


def is_same(url: str, other: str) -> bool:
    """Tell whether two URLs name exactly one repository."""
    place = _place(url)
    return place is not None and place == _place(other)


def _judge(path: str, commit: str, urls: set[str], above: str, prefixes: Sequence[str]) -> Module:
    if judge_name(path):
        return Module(path, commit, why="stands at an odd path")
    if not urls:
        return Module(path, commit, why=f"has no URL in {FILE}")
    if len(urls) > 1:
        return Module(path, commit, why=f"has more than one URL in {FILE}")
    url = resolve(above, urls.copy().pop())
    if not is_allowed(url, prefixes):
        return Module(path, commit, why="its URL is not below any of [workspace] submodules")
    return Module(path, commit, url)


async def _said(git: Git, oid: str) -> dict[str, set[str]]:
    """Read path -> URLs as git's own reader finds them; includes of the file are not followed."""
    if int(await git.line("cat-file", "-s", oid)) > FILE_BYTES:
        return {}
    outcome = await git.call(
        "config", "--blob", oid, "-z", "--no-includes", "--get-regexp", r"^submodule\..*\.(path|url)$"
    )
    if outcome.code:
        return {}  # nothing of the kind, or no file that git can read
    paths: dict[str, set[str]] = {}
    urls: dict[str, set[str]] = {}
    for entry in os.fsdecode(outcome.out).split("\0")[:-1]:
        key, _, value = entry.partition("\n")
        name, _, kind = key.rpartition(".")
        (paths if kind == "path" else urls).setdefault(name, set()).add(value)
    found: dict[str, set[str]] = {}
    for name, places in paths.items():
        for place in places:
            found.setdefault(place, set()).update(urls.get(name, ()))
    return found


def _place(url: str) -> tuple[tuple[str, str, int], tuple[str, ...]] | None:
    """Split a URL into scheme, host and port, and the parts of its path without `.git`; None for odd ones."""
    try:
        parts = urlsplit(url)
        port = parts.port or PORTS[parts.scheme]
    except (ValueError, KeyError):
        return None
    host = parts.hostname or ""
    if not host or not PLAIN.match(parts.path) or any(not "!" <= mark <= "~" or mark in "?#@\\" for mark in url):
        return None
    names = parts.path.rstrip("/").split("/")[1:]
    names[-1:] = [name.removesuffix(".git") or name for name in names[-1:]]
    return None if any(name in ("", ".", "..") for name in names) else ((parts.scheme, host, port), tuple(names))
