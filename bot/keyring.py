"""Where the two keys of an instance lie: control's own, and the one its workers sign requests with.

`instance.history` holds what was said about control's keys, as entries of the instance log (bot/audit/key_notes.py).
"""

from __future__ import annotations

import fcntl
import os
import secrets
from collections.abc import Callable
from pathlib import Path
from typing import Final

from bot.audit import entries, key_notes
from bot.audit.entries import KeyAdded, KeyRevoked
from bot.audit.key_notes import KeyNoteError, Ring
from bot.audit.keys import KEY_BYTES, InstanceKey, VKey, create_private, load_root, replace_key, root_of
from bot.audit.outside import command_key
from bot.model.errors import GatewrightError, UsageError
from bot.settings import Settings
from bot.settings_file import data_dir

FOLDER: Final = "keys"
KEY: Final = "instance.key"
HISTORY: Final = "instance.history"


def control_key(settings: Settings) -> InstanceKey:
    """Load or make the key that control signs with: the file's, or that of `[audit] sign_command`."""
    data, name, audit = data_dir(settings), settings.server.instance, settings.audit
    if not audit.sign_command:
        return instance_key(data, name)
    public, path = _outside(audit.public_key, name), data / FOLDER / KEY
    root = InstanceKey.load_or_create(path).root if path.exists() else load_root(path)
    if root is None:
        create_private(root_of(path), secrets.token_bytes(KEY_BYTES))
        root = load_root(path)
    key = command_key(audit.sign_command, public, root or b"")
    _show(path, key, name)
    return key


def instance_key(data: Path, name: str) -> InstanceKey:
    """Load or make the key that signs orders, and lay its public half beside it for workers to copy."""
    return _pair(data / FOLDER / KEY, name)


def rotate(data: Path, name: str) -> tuple[VKey, VKey]:
    """Put a new key in the place of control's, and announce it signed by both; return the old one and the new one."""
    path = data / FOLDER / KEY
    old = InstanceKey.load_or_create(path)
    before = VKey(name, old.public)
    remember_key(data, name, old)
    new = replace_key(path)  # a crash from here on leaves a key that `remember_key` announces by itself alone
    after = VKey(name, new.public)
    _tell(data, lambda _: key_notes.added(after, ((after, new), (before, old))))
    _show(path, new, name)
    return before, after


def revoke(data: Path, name: str, key: InstanceKey, revoked: VKey, log_size: int) -> None:
    """Announce that a key does not speak for the instance any more, as of a size of its log."""
    _tell(data, lambda _: key_notes.revoked(revoked, log_size, (VKey(name, key.public), key)))


def remember_key(data: Path, name: str, key: InstanceKey) -> None:
    """Announce the key in use unless that was done."""
    ours = VKey(name, key.public)
    _tell(data, lambda ring: None if ours in ring.keys else key_notes.added(ours, ((ours, key),)))


def shown_key(data: Path) -> str:
    """Read the public half that workers copy; empty where there is none."""
    try:
        return (data / FOLDER / KEY).with_suffix(".pub").read_text("ascii").strip()
    except FileNotFoundError:
        return ""


def key_lines(data: Path) -> tuple[bytes, ...]:
    """Read what was said about control's keys, a line each; none where nothing was."""
    try:
        return tuple((data / FOLDER / HISTORY).read_bytes().splitlines())
    except FileNotFoundError:
        return ()


def key_ring(data: Path) -> Ring:
    """Read which keys speak or spoke for control, oldest first; raises GatewrightError where that cannot be told."""
    return _ring(data, key_lines(data))


def log_folder(settings: Settings, data: Path) -> Path:
    """Name the folder of the instance log."""
    named = settings.audit.log_dir
    return Path(named).expanduser() if named else data / "log"


def _ring(data: Path, lines: tuple[bytes, ...]) -> Ring:
    try:
        return key_notes.ring(lines)
    except KeyNoteError as error:
        raise GatewrightError(
            "GW-KEY-HISTORY", f"{data / FOLDER / HISTORY} cannot be believed", why=str(error),
            fix="restore it from a copy, or from the `key.` lines of the instance log",
        ) from None  # fmt: skip


def _tell(data: Path, say: Callable[[Ring], KeyAdded | KeyRevoked | None]) -> None:
    """Append to what was said about the keys, one writer at a time."""
    path = data / FOLDER / HISTORY
    with path.open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        lines = key_lines(data)
        if (entry := say(_ring(data, lines))) is None:
            return
        line = entries.encode(entry)
        _ring(data, (*lines, line))  # what nobody would believe is not written
        file.write(line + b"\n")
        file.flush()
        os.fsync(file.fileno())


def _outside(text: str, name: str) -> VKey:
    try:
        public = VKey.parse(text)
    except ValueError as error:
        raise _no_public(str(error), name) from None
    if public.name != name:
        raise _no_public(f"it is named {public.name}", name)
    return public


def _no_public(why: str, name: str) -> UsageError:
    return UsageError(
        "GW-KEY-PUBLIC", "[audit] public_key is not the verifier key of what sign_command signs with", why=why,
        fix=f"`gatewright keys show --public HEX` spells a raw public key as the verifier key of {name}",
    )  # fmt: skip


def runner_key(data: Path, name: str) -> InstanceKey:
    """Load or make the key of this machine's workers; control must hold its public half."""
    return _pair(data / FOLDER / "runner.key", f"{name}.runner")


def ensure_runner_key(settings: Settings) -> None:
    """Make this machine's worker key unless it is there."""
    runner_key(data_dir(settings), settings.server.instance)


def runner_public(data: Path) -> bytes:
    """Read the public half of the workers' key, raw."""
    path = data / FOLDER / "runner.pub"
    try:
        return VKey.parse(path.read_text("ascii").strip()).public
    except (OSError, ValueError) as error:
        raise GatewrightError(
            "GW-CONTROL-RUNNER-KEY",
            "the workers' public key cannot be read",
            why=f"{path}: {error}",
            fix="start a worker once on this machine, or copy keys/runner.pub from the machine that runs workers",
        ) from None


def _pair(path: Path, name: str) -> InstanceKey:
    key = InstanceKey.load_or_create(path)
    _show(path, key, name)
    return key


def _show(path: Path, key: InstanceKey, name: str) -> None:
    public = path.with_suffix(".pub")
    text = key.vkey(name) + "\n"
    if not public.exists() or public.read_text("ascii") != text:
        scratch = public.with_name(f".{public.name}.{secrets.token_hex(4)}")
        scratch.write_text(text, "ascii")
        scratch.replace(public)  # a worker never reads half of it
