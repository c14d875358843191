"""How a worker asks control for a credential: what is signed, and what the answer is sealed to."""

from __future__ import annotations

from typing import Final

import msgspec

DOMAIN: Final = b"gatewright/access/v2\n"


class Ask(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One request for one fetch or push; `public` is the X25519 key to seal to, `signature` the runner's, both hex.

    `policy` is the digest of [policy] as the worker has it, by which control tells a worker with other rules.
    """

    public: str
    write: bool
    policy: str
    signature: str = ""


def message(knock: str, public: str, *, write: bool, policy: str) -> bytes:
    """Spell what the runner signs; `knock` is the wake entry, which names task, attempt and number."""
    return DOMAIN + f"{knock}\n{public}\n{'write' if write else 'read'}\n{policy}\n".encode()


def context(knock: str) -> bytes:
    """Bind the sealed answer to the request it answers."""
    return DOMAIN + knock.encode()
