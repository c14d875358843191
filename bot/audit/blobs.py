"""Payloads beside the journal: named by a salted commitment, so that deleting one leaves nothing to guess from."""

from __future__ import annotations

import hashlib
import os
import re
import secrets
from pathlib import Path
from typing import Final

from bot.model.errors import GatewrightError

DOMAIN: Final = b"gatewright/audit/v1/blob\n"
SALT: Final = 32  # bytes in front of the content
_NAME: Final = re.compile(r"[0-9a-f]{64}")


class BlobError(GatewrightError):
    """A blob that is not there (`GW-AUDIT-BLOB-MISSING`) or is not what its name says (`GW-AUDIT-BLOB-ALTERED`)."""


def commitment(stored: bytes) -> str:
    """Name the bytes of a blob file, which are salt and content."""
    return hashlib.sha256(DOMAIN + stored).hexdigest()


def is_commitment(name: str) -> bool:
    """Tell whether a name can be a blob's: 64 lower-case hex digits."""
    return _NAME.fullmatch(name) is not None


class Blobs:
    """One directory of blobs, `<aa>/<64 hex>`; files are written once and never changed."""

    def __init__(self, root: Path, mode: int = 0o600) -> None:
        self.root = root
        self._mode = mode

    def path(self, commitment: str) -> Path:
        """Name the file of a commitment; raise ValueError for a name that is none."""
        if not is_commitment(commitment):
            raise ValueError(f"not a commitment: {commitment[:80]!r}")
        return self.root / commitment[:2] / commitment

    def put(self, content: bytes) -> str:
        """Store content durably under a fresh salt and return its commitment; equal contents get unequal names."""
        stored = secrets.token_bytes(SALT) + content
        name = commitment(stored)
        path = self.path(name)
        for directory in (self.root, path.parent):  # parents=True would give the mode to the last one only
            directory.mkdir(mode=_searchable(self._mode), parents=True, exist_ok=True)
        scratch = path.parent / f".{name[:16]}.{os.getpid()}"
        _write(scratch, stored, self._mode)
        scratch.rename(path)
        _sync(path.parent)
        return name

    def get(self, name: str) -> bytes:
        """Read the content of a commitment; raise BlobError where it is missing or altered."""
        try:
            stored = self.path(name).read_bytes()
        except FileNotFoundError:
            raise BlobError(
                "GW-AUDIT-BLOB-MISSING",
                f"blob {name[:12]} is not in the store",
                why="it was deleted, or this is another store than the one it was written to",
                fix="look for a blob.redacted record, or name the store of the instance that wrote it",
            ) from None
        if len(stored) < SALT or commitment(stored) != name:
            raise BlobError(
                "GW-AUDIT-BLOB-ALTERED",
                f"blob {name[:12]} is not what its name says",
                why="its bytes were changed after it was stored",
                fix="restore it from a copy; see docs/audit.md#blobs",
            )
        return stored[SALT:]

    def has(self, name: str) -> bool:
        """Tell whether a blob is there, without reading it."""
        return self.path(name).is_file()

    def delete(self, name: str) -> None:
        """Delete a blob for good, salt and content; whoever asks has said so in a record or in the log before."""
        path = self.path(name)
        if path.exists():
            path.unlink()
            _sync(path.parent)


def _searchable(mode: int) -> int:
    """Give whoever may read the files the right to enter their directories."""
    return mode | ((mode & 0o444) >> 2)


def _write(path: Path, content: bytes, mode: int) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, mode)
    with os.fdopen(descriptor, "wb") as file:
        os.fchmod(descriptor, mode)  # whatever the umask
        file.write(content)
        file.flush()
        os.fsync(descriptor)


def _sync(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
