"""Where the master keys come from, newest first: the service manager, a file, a command, or the environment."""

from __future__ import annotations

import base64
import binascii
import os
import stat
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from bot.model.errors import GatewrightError, UsageError
from bot.settings import Registry

CREDENTIAL: Final = "gatewright-endpoints"
VARIABLE: Final = "GATEWRIGHT_ENDPOINTS_KEY"
KEY_BYTES: Final = 32
TEXT_MAX: Final = 16_384  # bytes
PATIENCE_S: Final = 30.0
CODE: Final = "GW-ENDPOINT-MASTER"
MAKE: Final = "make one with `openssl rand -base64 32`; docs/operations.md says where it may lie"


def master_keys(table: Registry, env: Mapping[str, str] | None = None) -> tuple[bytes, ...]:
    """Read the master keys from the first source that is named; raises UsageError, and never says what it read."""
    text, source = _text(table, os.environ if env is None else env)
    keys = tuple(_key(word, source) for word in text.split())
    if not keys:
        raise UsageError(CODE, f"{source} holds no master key", fix=MAKE)
    return keys


def _text(table: Registry, env: Mapping[str, str]) -> tuple[str, str]:
    folder = env.get("CREDENTIALS_DIRECTORY", "")
    if folder and _is_there(given := Path(folder, CREDENTIAL)):  # its rights are the service manager's business
        return _read(given), f"the credential {CREDENTIAL}"
    if table.key_file:
        return _private(Path(table.key_file).expanduser()), "the file of [registry] key_file"
    if table.key_command:
        return _said(table.key_command), "what [registry] key_command prints"
    if text := env.get(VARIABLE, ""):
        return text, VARIABLE
    raise UsageError(
        CODE, "there is no master key for the registered endpoints",
        why=f"no credential {CREDENTIAL}, no [registry] key_file or key_command, no {VARIABLE}", fix=MAKE,
    )  # fmt: skip


def _is_there(path: Path) -> bool:
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:  # it is named: nothing else is taken in its place
        raise _unreadable(path, error) from None
    return True


def _private(path: Path) -> str:
    if not path.is_absolute():
        raise UsageError(CODE, "[registry] key_file is no absolute path", fix="begin it with / or ~")
    try:
        found = path.stat()
    except OSError as error:
        raise _unreadable(path, error) from None
    if not stat.S_ISREG(found.st_mode):
        raise UsageError(CODE, f"{path} holds no master key", why="it is no regular file", fix=MAKE)
    if stat.S_IMODE(found.st_mode) & 0o077:
        raise UsageError(
            CODE, f"{path} is open to other users", why=f"mode {stat.S_IMODE(found.st_mode):04o}",
            fix=f"chmod 600 {path}, and make a new key where somebody may have read it",
        )  # fmt: skip
    return _read(path)


def _read(path: Path) -> str:
    try:
        with path.open("rb") as file:
            raw = file.read(TEXT_MAX + 1)
    except OSError as error:
        raise _unreadable(path, error) from None
    return _decoded(raw, str(path))


def _said(argv: tuple[str, ...]) -> str:
    """Run the command without a shell; what it prints on stderr is not shown, for it may hold the key."""
    try:
        ended = subprocess.run(
            argv, stdin=subprocess.DEVNULL, capture_output=True, timeout=PATIENCE_S, check=False
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        why = error.strerror if isinstance(error, OSError) else f"no answer within {PATIENCE_S:.0f} s"
        raise GatewrightError(CODE, "[registry] key_command did not run", why=why or "", fix=MAKE) from None
    if ended.returncode:
        raise GatewrightError(
            CODE, "[registry] key_command failed", why=f"exit code {ended.returncode}", fix="run it by hand"
        )
    return _decoded(ended.stdout, "[registry] key_command")


def _decoded(raw: bytes, source: str) -> str:
    try:
        if len(raw) <= TEXT_MAX:
            return raw.decode("ascii")
    except UnicodeDecodeError:
        pass
    raise UsageError(CODE, f"{source} gives no master keys", why="it is no short text", fix=MAKE)


def _key(word: str, source: str) -> bytes:
    try:
        raw = base64.b64decode(word.translate(str.maketrans("-_", "+/")), validate=True)
    except (ValueError, binascii.Error):
        raw = b""
    if len(raw) != KEY_BYTES:
        raise UsageError(CODE, f"{source} holds something else than master keys", why="not 32 bytes, base64", fix=MAKE)
    return base64.urlsafe_b64encode(raw)


def _unreadable(path: Path, error: OSError) -> UsageError:
    return UsageError(CODE, f"cannot read the master key in {path}", why=error.strerror or str(error), fix=MAKE)
