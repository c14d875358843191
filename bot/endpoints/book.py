"""The file of registered endpoints: private, and whole at any moment."""

from __future__ import annotations

import fcntl
import os
import secrets
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final, Literal

import msgspec

from bot.endpoints.address import NAME
from bot.endpoints.vault import Entry
from bot.model.errors import GatewrightError
from bot.settings_file import make_dir

SIZE_MAX: Final = 4 << 20  # bytes


class Book(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the file holds."""

    schema: Literal["gatewright/endpoints/v1"]
    endpoints: dict[str, Entry]


def read(path: Path) -> dict[str, Entry]:
    """Read all endpoints, none where there is no file; GatewrightError where it is torn, or open to other users."""
    raw = _bytes(path)
    if raw is None:
        return {}
    try:
        book = msgspec.json.decode(raw, type=Book)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise _wrong(path, str(error)) from None
    if odd := next((name for name in book.endpoints if not NAME.fullmatch(name)), None):
        raise _wrong(path, f"it names an endpoint {ascii(odd)[:80]}")
    return book.endpoints


@contextmanager
def changing(path: Path) -> Iterator[dict[str, Entry]]:
    """Lend the endpoints for a change, to one process at a time; they are written when the block ends well."""
    folder = os.open(make_dir(path.parent), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        entries = read(path)
        before = dict(entries)
        yield entries
        if entries != before:
            _write(path, entries)
            os.fsync(folder)
    finally:
        os.close(folder)


def _write(path: Path, entries: Mapping[str, Entry]) -> None:
    content = msgspec.json.format(msgspec.json.encode(Book("gatewright/endpoints/v1", dict(entries))), indent=2)
    scratch = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            if os.geteuid() == 0:  # the service whose folder this is must be able to read what root adds
                owner = path.parent.stat()
                os.fchown(descriptor, owner.st_uid, owner.st_gid)
            file.write(content + b"\n")
            file.flush()
            os.fsync(descriptor)
        scratch.replace(path)
    finally:
        scratch.unlink(missing_ok=True)


def _bytes(path: Path) -> bytes | None:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        return None  # whoever needs the state directory says what is wrong with it
    except OSError as error:
        raise _wrong(path, error.strerror or str(error)) from None
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise _wrong(path, "it is no regular file")
        if mode := stat.S_IMODE(found.st_mode) & 0o077:
            raise GatewrightError(
                "GW-ENDPOINT-MODE", f"{path} is open to other users", why=f"others may {_rights(mode)} it",
                fix=f"chmod 600 {path}, and see who could change it",
            )  # fmt: skip
        if found.st_size > SIZE_MAX:
            raise _wrong(path, "it is larger than any list of endpoints")
        with os.fdopen(os.dup(descriptor), "rb") as file:
            return file.read(SIZE_MAX + 1)
    finally:
        os.close(descriptor)


def _rights(mode: int) -> str:
    return "write" if mode & 0o022 else "read"


def _wrong(path: Path, why: str) -> GatewrightError:
    return GatewrightError(
        "GW-ENDPOINT-FILE", f"the registered endpoints in {path} cannot be read", why=why,
        fix="put it back from your backup, or remove it and add the endpoints again",
    )  # fmt: skip
