"""A small root file system of this machine's own files: what `docker export` of a Debian image comes to."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sysconfig
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

COMMANDS = (
    "bash", "dash", "cat", "ls", "id", "env", "touch", "mkdir", "rm", "true", "sleep", "head", "stat", "readlink",
    "uname", "grep", "sed", "git", "wc", "ps", "tar",
)  # fmt: skip
STANDARD = ("libc", "libdl", "libm", "libpthread", "librt", "libutil", "libresolv", "libstdc++", "libgcc_s")
PYTHON = "/usr/bin/python3"


def build(root: Path, commands: Sequence[str] = COMMANDS, *, with_python: bool = False) -> Path:
    """Fill a folder with programs, their libraries, and a few things that only a team's image has."""
    for folder in ("usr/bin", "usr/lib", "usr/lib64", "usr/sbin", "etc", "proc", "dev", "tmp", "var/lib/team", "root"):
        (root / folder).mkdir(parents=True)
    for name in ("bin", "lib", "lib64", "sbin"):
        (root / name).symlink_to(f"usr/{name}")
    for name in commands:
        _program(root, shutil.which(name, path="/usr/bin:/bin") or name)
    if "dash" in commands:
        (root / "usr/bin/sh").symlink_to("dash")
    for library in Path("/usr/lib").glob("*-linux-gnu/*.so.[0-9]"):  # what every Debian has
        if library.name.partition(".so")[0] in STANDARD:
            _copy(library.resolve(), _made(root / library.relative_to("/")))
    if with_python:
        _python(root)
    (root / "etc/team").write_text("the team's image\n")
    (root / "etc/passwd").write_text("root:x:0:0:root:/root:/bin/bash\nteam:x:1:1::/:/bin/sh\n")
    (root / "etc/team.d").mkdir()
    (root / "etc/team.d/up").symlink_to("../../var/lib/team")
    (root / "var/lib/team/note").write_text("a note\n")
    (root / "opt/tool/bin").mkdir(parents=True)
    (root / "opt/tool/bin/team-tool").write_text("#!/bin/sh\necho the tool of the team\n")
    (root / "opt/tool/bin/team-tool").chmod(0o755)
    (root / "home/linuxbrew").mkdir(parents=True)
    (root / "home/linuxbrew/note").write_text("brewed\n")
    (root / ".dockerenv").touch()
    root.chmod(0o755)
    return root


def _program(root: Path, path: str) -> None:
    _copy(Path(path).resolve(), root / "usr/bin" / Path(path).name)
    _libraries(root, path)


def _libraries(root: Path, path: str) -> None:
    said = subprocess.run(["ldd", path], capture_output=True, text=True, check=False).stdout
    for library in re.findall(r"(/\S+) \(0x", said):
        _copy(Path(library).resolve(), _made(root / "usr" / library.lstrip("/").removeprefix("usr/")))


def _python(root: Path) -> None:
    binary = Path(PYTHON).resolve()
    _program(root, str(binary))
    (root / "usr/bin/python3").symlink_to(binary.name)
    standard = f"usr/lib/{binary.name}"
    ignored = shutil.ignore_patterns("__pycache__", "test", "idlelib", "tkinter", "dist-packages", "config-*")
    shutil.copytree(f"/{standard}", root / standard, ignore=ignored, copy_function=_copied, dirs_exist_ok=True)
    for library in (root / standard / "lib-dynload").glob(f"*{sysconfig.get_config_var('SHLIB_SUFFIX')}"):
        _libraries(root, str(library))


def _made(place: Path) -> Path:
    place.parent.mkdir(parents=True, exist_ok=True)
    return place


def _copy(source: Path, target: Path) -> None:
    if target.exists():
        return
    with suppress(OSError):
        os.link(source, target)
        return
    shutil.copy2(source, target)


def _copied(source: str, target: str) -> str:
    _copy(Path(source).resolve(), Path(target))
    return target
