"""Under which digest the result of a set-up is kept: whatever could make it another one."""

from __future__ import annotations

import hashlib
import platform
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from bot import settings
from bot.model.order import Order
from runners.workspace.git import Git

FORMAT: Final = "gatewright-setup/1"
# What set-up commands install by, and what decides which of it git ignores.
LOCKS: Final = re.compile(
    r"(^|/)("
    r"[^/]*\.lock|[^/]*[.-]lock\.(json|ya?ml)|[^/]*\.lockb|npm-shrinkwrap\.json|go\.(mod|sum|work)|[^/]*\.lockfile|"
    r"requirements[^/]*\.(txt|in)|constraints[^/]*\.txt|package\.json|pyproject\.toml|setup\.(py|cfg)|Pipfile|"
    r"Gemfile|Cargo\.toml|composer\.json|pom\.xml|build\.gradle(\.kts)?|settings\.gradle(\.kts)?|"
    r"gradle-wrapper\.properties|mix\.exs|[^/]*\.csproj|Directory\.[A-Za-z]+\.props|global\.json|"
    r"\.tool-versions|\.(python|node|ruby|java)-version|\.nvmrc|\.npmrc|rust-toolchain(\.toml)?|"
    r"Makefile|justfile|\.gitignore"
    r")$"
)
PINNING: Final = re.compile(r"(^|/)([^/]*\.lock|[^/]*[.-]lock\.(json|ya?ml)|[^/]*\.lockb|go\.sum|[^/]*\.txt)$")
WORDS: Final = re.compile(r"[\s;&|()<>=\"'`]+")
PLACES: Final = ("usr/bin", "usr/local/bin", "usr/lib", "usr/local/lib")


async def digest(git: Git, order: Order, commands: Sequence[str], table: settings.Sandbox) -> str:
    """Hash repository, branch, commands, what they install by at the base commit, and the machine they run on.

    A repository that pins nothing has its whole tree counted: no file of it is then known to make no difference.
    """
    rows = await _rows(git, order.base_commit)
    named = {word.removeprefix("./") for command in commands for word in WORDS.split(command)}
    chosen = {path: oid for path, oid in rows.items() if LOCKS.search(path) or path in named}
    if not any(PINNING.search(path) for path in chosen):
        chosen = rows
    hashed = hashlib.sha256()
    parts = [FORMAT, order.repo.key, order.base_branch, *commands, "", *system(table), ""]
    for part in (*parts, *(f"{path}\0{oid}" for path, oid in sorted(chosen.items()))):
        hashed.update(f"{len(part)}:{part}\n".encode("utf-8", "surrogateescape"))
    return hashed.hexdigest()


def system(table: settings.Sandbox) -> list[str]:
    """Describe the programs that the jail shows: another release, or another package, makes another result."""
    root = Path(table.rootfs).expanduser() if table.rootfs else Path("/")
    release = next((path for name in ("etc/os-release", "usr/lib/os-release") if (path := root / name).is_file()), None)
    said = release.read_text(errors="replace") if release else ""
    found = [(root / name).stat() for name in PLACES if (root / name).is_dir()]
    stamps = [f"{each.st_ino}:{each.st_mtime_ns}" for each in found]
    return [platform.machine(), str(root), said, *stamps, *table.binds, *table.path]


async def _rows(git: Git, commit: str) -> dict[str, str]:
    listing = await git.run("ls-tree", "-r", "-z", commit)
    rows = (line.split(b"\t", 1) for line in listing.split(b"\0")[:-1])
    return {path.decode("utf-8", "surrogateescape"): meta.decode().split()[2] for meta, path in rows}
