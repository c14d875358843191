"""Seals a key together with the name and URL it is for, so that it opens nowhere else."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from typing import Final

import msgspec
from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from bot.model.errors import GatewrightError

FINGERPRINT: Final = b"gatewright/endpoints/fingerprint/v1"
SHOWN: Final = 8  # bytes


class Entry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A registered endpoint as it lies on disk."""

    base_url: str
    added_ms: int
    sealed: str


class Sealed(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is encrypted: the key, and all that it is bound to."""

    name: str
    base_url: str
    added_ms: int
    key: str


class Vault:
    """Master keys, newest first: the first one seals, each of them opens."""

    def __init__(self, keys: Sequence[bytes]) -> None:
        self._fernet = MultiFernet([Fernet(key) for key in keys])
        self._mark = hmac.digest(keys[0], FINGERPRINT, hashlib.sha256)

    def seal(self, name: str, base_url: str, key: str, added_ms: int) -> Entry:
        """Encrypt with the newest master key."""
        content = msgspec.json.encode(Sealed(name, base_url, added_ms, key))
        return Entry(base_url, added_ms, self._fernet.encrypt(content).decode("ascii"))

    def open(self, name: str, entry: Entry) -> str:
        """Take out the key; GatewrightError where it was sealed for another name, URL or time, or by nobody we know."""
        try:
            content = msgspec.json.decode(self._fernet.decrypt(entry.sealed.encode()), type=Sealed)
        except (InvalidToken, msgspec.MsgspecError):
            raise GatewrightError(
                "GW-ENDPOINT-SEAL", f"the key of the endpoint {name} does not open",
                why="no master key that is given here sealed it, or it was altered",
                fix="give the master key it was sealed with, or its own key again: "
                f"gatewright endpoints add {name} URL",
            ) from None  # fmt: skip
        if (content.name, content.base_url, content.added_ms) != (name, entry.base_url, entry.added_ms):
            raise GatewrightError(
                "GW-ENDPOINT-MOVED", f"the key of the endpoint {name} was given for something else",
                why="its name, base URL or date was changed in the file, or the key was copied from another endpoint",
                # Not the URL that stands there now: somebody may want the key sent to it.
                fix=f"find out who changed it, then give the key again: gatewright endpoints add {name} URL",
            )  # fmt: skip
        return content.key

    def fingerprint(self, key: str) -> str:
        """Name a key so that two can be compared and nobody without the newest master key can try guesses."""
        return hmac.digest(self._mark, key.encode(), hashlib.sha256)[:SHOWN].hex()
