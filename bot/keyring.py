"""Where the two keys of an instance lie: control's own, and the one its workers sign requests with."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from bot.audit.keys import InstanceKey, VKey
from bot.model.errors import GatewrightError
from bot.settings import Settings
from bot.settings_file import data_dir

FOLDER: Final = "keys"


def instance_key(data: Path, name: str) -> InstanceKey:
    """Load or make the key that signs orders, and lay its public half beside it for workers to copy."""
    return _pair(data / FOLDER / "instance.key", name)


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
    public = path.with_suffix(".pub")
    text = key.vkey(name) + "\n"
    if not public.exists() or public.read_text("ascii") != text:
        public.write_text(text, "ascii")
    return key
