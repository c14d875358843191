"""The gate digest: what exactly an approval binds to."""

from __future__ import annotations

import hashlib
from typing import Final

import msgspec

from bot.model.state import Gate
from bot.model.task import Profile

DOMAIN: Final = b"gatewright/gate/v1\n"
SHOWN: Final = 12  # hex digits that texts print; a unique prefix of this length or more is accepted


class Binding(msgspec.Struct, frozen=True, omit_defaults=True):
    """Everything an approval binds; a change to any of it voids the approval."""

    instance: str
    forge: str
    host: str
    repo: int
    issue: int
    task: str
    gate: Gate
    rev: int
    artifact_sha256: str
    base_commit: str
    policy_sha256: str
    profile: Profile
    issue_sha256: str
    source_sha256: str = ""  # change and scope gate only
    head: str = ""  # change and scope gate only

    def digest(self) -> str:
        """Hash the canonical JSON under its own domain; 64 hex digits."""
        body = msgspec.to_builtins(self) | {"profile": msgspec.to_builtins(self.profile)}
        return hashlib.sha256(DOMAIN + msgspec.json.encode(body, order="sorted")).hexdigest()


def matches(wanted: str, digest: str) -> bool:
    """Tell whether what a person typed names this digest: a prefix of 12 hex digits or more."""
    wanted = wanted.lower()
    return SHOWN <= len(wanted) <= len(digest) and digest.startswith(wanted)
