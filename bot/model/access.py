"""How a worker asks control for a credential: what is signed, and what the answer is sealed to."""

from __future__ import annotations

from typing import Final

import msgspec

DOMAIN: Final = b"gatewright/access/v1\n"


class Ask(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One request for one fetch or push; `public` is the X25519 key to seal to, `signature` the runner's, both hex."""

    public: str
    write: bool
    signature: str = ""


def message(knock: str, public: str, *, write: bool) -> bytes:
    """Spell what the runner signs; `knock` is the wake entry, which names task, attempt and number."""
    return DOMAIN + f"{knock}\n{public}\n{'write' if write else 'read'}\n".encode()


def context(knock: str) -> bytes:
    """Bind the sealed answer to the request it answers."""
    return DOMAIN + knock.encode()
