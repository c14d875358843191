"""Read the zip that `audit export` makes: `tasks/<id>/...` as evidence lies in a repository, `log/`, `blobs/`."""

from __future__ import annotations

import re
import stat
import zipfile
import zlib
from pathlib import Path
from typing import Final

from bot.audit import layout
from bot.audit.folder import MAX_FILE
from bot.audit.place import NoEvidence

PARTS: Final = ("log", "blobs")
FILES: Final = 200_000
BYTES: Final = 4 * 1024 * 1024 * 1024  # of all files together, unpacked
_STEP: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,199}|\.gitattributes")


def is_bundle(path: Path) -> bool:
    """Tell whether a path is a zip file."""
    return path.is_file() and zipfile.is_zipfile(path)


def is_unpacked(path: Path) -> bool:
    """Tell whether a directory is a bundle that somebody unpacked."""
    return (path / "SHA256SUMS").is_file() and (path / "tasks").is_dir() and not (path / ".git").exists()


def holds(name: str, size: int) -> bool:
    """Tell whether a bundle can hold a file of that name and size."""
    return bool(_target(name)) and size <= MAX_FILE


def unpack(path: Path, into: Path) -> None:
    """Write a bundle's evidence below a directory, laid out as a repository; raise NoEvidence for what is no bundle.

    Names that lead elsewhere, links, and more than such a file can hold are refused, not skipped.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            members = [member for member in archive.infolist() if not member.is_dir()]
            if len(members) > FILES:
                raise _refused(path, f"it holds {len(members)} files")
            left = BYTES
            for member in members:
                left -= _write(archive, member, into, path, left)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, OSError) as error:
        raise _refused(path, str(error)) from None


def _write(archive: zipfile.ZipFile, member: zipfile.ZipInfo, into: Path, path: Path, left: int) -> int:
    """Write one member; answer how many bytes it had."""
    target = _target(member.filename)
    kind = stat.S_IFMT(member.external_attr >> 16)
    if target is None or (kind and not stat.S_ISREG(kind)):
        raise _refused(path, f"{member.filename[:100]!a} is no plain file of a bundle")
    with archive.open(member) as file:
        content = file.read(MAX_FILE + 1)
    if len(content) > min(MAX_FILE, left):
        raise _refused(path, f"{member.filename[:100]!a} is larger than a file of a bundle can be")
    if target:
        place = into / target
        place.parent.mkdir(parents=True, exist_ok=True)
        with place.open("xb") as out:  # a name that stands there twice is refused
            out.write(content)
    return len(content)


def _target(name: str) -> str | None:
    """Say where a member belongs; empty for what is for people, None for what has no place in a bundle."""
    steps = name.split("/")
    if not all(_STEP.fullmatch(step) for step in steps):
        return None
    if steps[0] == "tasks":
        return f"{layout.ROOT}/{'/'.join(steps[1:])}" if len(steps) > 2 else None
    return name if steps[0] in PARTS else ""


def _refused(path: Path, why: str) -> NoEvidence:
    return NoEvidence(
        "GW-AUDIT-BUNDLE", f"{path} is no bundle that can be read", why=why, fix="have it exported again"
    )  # fmt: skip
