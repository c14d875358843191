"""Checks of the machine itself: git, the jail, key files, disk."""

from __future__ import annotations

import os
import re
import shutil
import stat
import subprocess
import tempfile
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import msgspec

from bot.audit.keys import InstanceKey, KeyFileError
from bot.keyring import FOLDER
from bot.model.section import Section
from bot.settings import Settings
from bot.settings_file import FILE, SECRET, fields, section_of
from bot.terminal.checks import Finding, Place, Verdict, ask, failed, fine

GIT_OLDEST: Final = (2, 31)  # settings by GIT_CONFIG_COUNT, which keep credentials out of argv and files
ROOM: Final = {Verdict.FAIL: 0.5, Verdict.WARN: 5.0}  # GiB
LOOSE: Final = ": does not hold ("
HAND_DOWN: Final = "run workers as a systemd service with Delegate=yes (cgroup version 2); docs/operations.md, Limits"
PROGRAMS: Final = {"bwrap": "bubblewrap", "socat": "socat", "setpriv": "util-linux", "prlimit": "util-linux"}


class Tried(msgspec.Struct, frozen=True):
    """What is read of the answer of `sandbox run --json`."""

    start_ms: int


def git(_: Place) -> Iterator[Finding]:
    """Look for git and how old it is."""
    found = shutil.which("git")
    if found is None:
        yield Finding(Verdict.FAIL, "git", "git is not installed", fix="apt install git")
        return
    said = version([found, "--version"])
    number = tuple(int(part) for part in said.split(".")[:2] if part.isdigit())
    if number < GIT_OLDEST:
        wanted = ".".join(map(str, GIT_OLDEST))
        yield Finding(
            Verdict.FAIL, "git", f"git {said or '?'} is too old", f"{wanted} is needed", "install a newer one"
        )
    else:
        yield fine("git", said)


def sandbox(place: Place) -> Iterator[Finding]:
    """Look for the programs of the jail, then start something in one."""
    table = place.settings.sandbox
    if table.mode != "bwrap":
        why = f'sandbox.mode = "{table.mode}": agents act with all rights of the worker'
        yield Finding(Verdict.WARN, "sandbox", "agents run without a sandbox", why, 'set sandbox.mode = "bwrap"')
        return
    absent = [name for name in PROGRAMS if shutil.which(name) is None]
    if absent:
        packages = " ".join(dict.fromkeys(PROGRAMS[name] for name in absent))
        yield Finding(Verdict.FAIL, "sandbox", f"not installed: {', '.join(absent)}", fix=f"apt install {packages}")
        return
    with tempfile.TemporaryDirectory(prefix="gatewright-doctor-") as scratch:
        Path(scratch).chmod(0o755)  # the jail's user must be able to get there
        said, error = ask(place, ["sandbox", "run", "--json", "--dir", scratch, "--", "true"])
    if error:
        yield failed("sandbox", error)
        return
    tried = msgspec.json.decode(said, type=Tried)
    yield fine("sandbox", f"bwrap starts, and a program runs in it; start-up {tried.start_ms} ms, the relay included")
    yield limits(place)


def limits(place: Place) -> Finding:
    """Ask which limits of the jail hold on this machine."""
    said, _ = ask(place, ["sandbox", "limits"])
    loose = [line for line in said.splitlines() if LOOSE in line]
    if not loose and said:
        return fine("sandbox", f"limits that hold: {'; '.join(said.splitlines())}")
    return Finding(Verdict.WARN, "sandbox", "; ".join(loose) or "nothing is known of its limits", fix=HAND_DOWN)


def keys(place: Place) -> Iterator[Finding]:
    """Look who can read the keys of the instance and the files of secrets that the settings name."""
    found = sorted((place.data / FOLDER).glob("*.key"))
    for path in found:
        try:
            InstanceKey.load_or_create(path)  # loads: the file is there
        except KeyFileError as error:
            yield failed("keys", error)
            return
    words = f"{len(found)} in {place.data / FOLDER}" if found else "none yet; `up` makes them"
    yield fine("keys", words)
    for path in secret_files(place.config):
        try:
            mode = stat.S_IMODE(path.stat().st_mode)
        except OSError:
            continue  # loading the settings has said so
        if mode & 0o077:
            why = f"mode {mode:04o}"
            yield Finding(Verdict.WARN, "keys", f"{path} is open to other users", why, f"chmod 600 {path}")


def disk(place: Place) -> Iterator[Finding]:
    """Look how much room there is for mirrors, worktrees, blobs and the append-only file."""
    at = place.data
    while not at.exists():
        at = at.parent
    free = shutil.disk_usage(at).free / (1 << 30)
    words = f"{free:.1f} GiB free at {place.data}"
    if not os.access(at, os.W_OK):
        yield Finding(Verdict.FAIL, "disk", f"{at} cannot be written", fix="set [server] data_dir to a place that can")
        return
    verdict = next((verdict for verdict, least in ROOM.items() if free < least), Verdict.OK)
    why, fix = ("mirrors, worktrees and blobs grow", "make room, or move [server] data_dir") if free < 5 else ("", "")
    yield Finding(verdict, "disk", words, why, fix)


def secret_files(config: Path | None) -> Iterator[Path]:
    """Name the files that hold secrets; the settings file itself is one where it holds them in clear."""
    if config is None:
        return
    table = tomllib.loads(config.read_text(encoding="utf-8"))
    found = list(_files(table))
    yield from (config.parent / Path(name).expanduser() for name in found)
    if _secrets(table):
        yield config


def _files(table: dict[str, Any]) -> Iterator[str]:
    for key, value in table.items():
        if isinstance(value, dict):
            yield from _files(value)
        elif key.endswith(FILE) and isinstance(value, str):
            yield value


def _secrets(table: dict[str, Any]) -> bool:
    names = set(secret_names(Settings))
    return any(_secrets(value) if isinstance(value, dict) else key in names and value for key, value in table.items())


def secret_names(shape: type[Section]) -> Iterator[str]:
    """Name the keys that hold secrets, of all tables."""
    for name, kind, text in fields(shape):
        if SECRET in text:
            yield name
        if inner := section_of(kind):
            yield from secret_names(inner)


def version(argv: list[str]) -> str:
    """Ask a program for its version: the first dotted number it prints."""
    try:
        said = subprocess.run(argv, capture_output=True, text=True, timeout=10, check=False, stdin=subprocess.DEVNULL)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    found = re.search(r"\d+(\.\d+)+", said.stdout)
    return found[0] if found else ""
