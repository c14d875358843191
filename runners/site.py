"""Where this machine keeps what attempts need: mirrors, scratch space, keys, blobs."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bot.audit.keys import VKey
from bot.known_secrets import known_secrets
from bot.model.errors import GatewrightError
from bot.settings import Settings
from bot.settings_file import data_dir


@dataclass(frozen=True, slots=True)
class Site:
    """The worker's part of the machine; `slot` is this worker's own."""

    settings: Settings
    slot: int = 0

    @property
    def data(self) -> Path:
        """The state directory."""
        return data_dir(self.settings)

    @property
    def work(self) -> Path:
        """Mirrors and worktrees."""
        named = self.settings.worker.work_dir
        return Path(named) if named else self.data / "work"

    @property
    def blobs(self) -> Path:
        """The store of payloads."""
        return self.data / "blobs"

    @property
    def instance_key(self) -> Path:
        """The public half of the key that control signs orders with."""
        return self.data / "keys" / "instance.pub"

    @property
    def user(self) -> int | None:
        """The user that jails of this slot run as; None for a worker that is no root and keeps its own."""
        return self.settings.sandbox.user + self.slot if os.geteuid() == 0 else None

    @property
    def identity(self) -> str:
        """In whose name the bot commits; a forge may refuse authors that it does not know."""
        worker = self.settings.worker
        return f"{worker.commit_name} <{worker.commit_email}>"

    @property
    def secrets(self) -> tuple[str, ...]:
        """Everything in the settings that no blob may hold."""
        return known_secrets(self.settings)

    def instance_public(self) -> bytes:
        """Read the instance's public key, raw; GatewrightError where it is missing or no verifier key."""
        try:
            return VKey.parse(self.instance_key.read_text("ascii").strip()).public
        except (OSError, ValueError) as error:
            raise GatewrightError(
                "GW-WORKER-KEY",
                "the instance's public key cannot be read",
                why=f"{self.instance_key}: {error}",
                fix="copy keys/instance.pub from the machine that runs control",
            ) from error


@contextmanager
def socket_folder(site: Site) -> Iterator[Path]:
    """Make a folder with a short path, which a unix socket needs; another user than ours has to get through it."""
    base = os.environ.get("XDG_RUNTIME_DIR") if site.user is None else None
    with tempfile.TemporaryDirectory(prefix="gw-", dir=base) as name:
        folder = Path(name)
        folder.chmod(0o700 if site.user is None else 0o711)
        yield folder
