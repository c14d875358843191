"""The 235 MB that the Copilot CLI unpacks when it first starts: done once, in a jail, and shown to all others."""

from __future__ import annotations

import fcntl
import hashlib
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO, Final

import structlog

from runners.providers.errors import ProviderError
from runners.providers.protocol import Cause, Jail

INSIDE: Final = "/opt/rt/copilot"
SCRIPT: Final = 'cd /tmp && "$1" --version >&2 && exec tar -C "$HOME/.cache/copilot/pkg" -cf - .'
SECONDS: Final = 120.0  # it takes 2 on an idle machine
WHY_MAX: Final = 500


def unpacked(program: Path, shelf: Path, jail: Jail) -> Path | None:
    """Return what a program unpacks, kept in `shelf` per version; None where it cannot be kept there.

    Every run then unpacks it anew in the home of its jail. Raises ProviderError where the program does not unpack.
    """
    kept = shelf / f"copilot-{_version(program)}"
    if kept.is_dir():
        return kept
    try:
        shelf.mkdir(parents=True, exist_ok=True)
        with _alone(kept.with_name(f"{kept.name}.lock")):
            if not kept.is_dir():
                _unpack(program, kept, jail)
    except OSError as problem:
        structlog.get_logger().warning("copilot.not_kept", shelf=str(shelf), why=str(problem))
        return None
    return kept


def _unpack(program: Path, kept: Path, jail: Jail) -> None:
    """Unpack beside the goal and rename: whoever looks without the lock sees all of it or nothing."""
    with tempfile.TemporaryDirectory(prefix=".copilot-", dir=kept.parent) as name:
        packed, fresh = Path(name) / "tar", Path(name) / "pkg"
        _pack(program, packed, jail)
        with tarfile.open(packed) as archive:
            for member in archive:
                _extract(archive, member, fresh)
        fresh.rename(kept)


def _pack(program: Path, packed: Path, jail: Jail) -> None:
    """Have the program unpack in a jail and bring what it unpacked out of it: it never runs anywhere else."""
    wrapper = jail.wrapper(
        ["/bin/bash", "-c", SCRIPT, "unpack", INSIDE],
        env={"COPILOT_OFFLINE": "true", "COPILOT_AUTO_UPDATE": "false"},
        binds=[(program, INSIDE)],
        writable=False,
    )
    with packed.open("wb") as out:
        try:
            ended = subprocess.run(
                [wrapper], stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.PIPE,
                env={}, cwd="/", timeout=SECONDS, check=False,
            )  # fmt: skip
        except subprocess.TimeoutExpired as problem:
            raise _broken(f"not done after {SECONDS:.0f} s") from problem
    if ended.returncode != 0:
        raise _broken(ended.stderr.decode(errors="replace").strip()[-WHY_MAX:] or f"exit code {ended.returncode}")


def _extract(archive: tarfile.TarFile, member: tarfile.TarInfo, fresh: Path) -> None:
    """Write one file or folder, readable by the jail's user; the package has nothing else in it."""
    path = fresh / member.name
    content = archive.extractfile(member) if member.isfile() else None
    if ".." in PurePosixPath(member.name).parts or path == Path(member.name) or not (content or member.isdir()):
        raise _broken(f"{member.name!r} is not a file or a folder below its package")
    if content is None:
        path.mkdir(parents=True, exist_ok=True)
        return
    with content, path.open("xb") as out:
        shutil.copyfileobj(content, out)
    path.chmod(0o755 if member.mode & 0o100 else 0o644)


def _version(program: Path) -> str:
    found = program.stat()
    said = f"{program.resolve()}\0{found.st_dev}\0{found.st_ino}\0{found.st_mtime_ns}\0{found.st_size}"
    return hashlib.sha256(said.encode()).hexdigest()[:24]


@contextmanager
def _alone(path: Path) -> Iterator[IO[str]]:
    """Let one at a time unpack: several workers of a machine may start with the same version at once."""
    with path.open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield lock


def _broken(why: str) -> ProviderError:
    return ProviderError(
        Cause.CRASH, "the GitHub Copilot CLI could not be unpacked", why=why,
        fix="Install it again (`make tools`); the jail's home must have room for 300 MB.",
    )  # fmt: skip
