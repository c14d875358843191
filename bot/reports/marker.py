"""The hidden last line of what we write, by which an unfinished write is found again."""

from __future__ import annotations

import hashlib
import hmac
import re
from typing import Final

import msgspec

from bot.model.event import Repo

DOMAIN: Final = b"gatewright/marker/v1\n"
MAC: Final = 16  # hex digits: nobody can try them out, a forge would see each try
_SAFE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9.:#_-]{0,79}")


class Place(msgspec.Struct, frozen=True):
    """Where a text belongs: a marker that was copied to another issue, repository or instance is none there."""

    instance: str
    forge: str
    host: str
    repo: int
    issue: int

    @classmethod
    def of(cls, instance: str, repo: Repo, issue: int) -> Place:
        """Name an issue of a repository as one instance sees it."""
        return cls(instance, repo.forge.value, repo.host, repo.id, issue)


def marker(key: bytes, place: Place, task: str, kind: str, rev: int | str = 0) -> str:
    """Name one comment of ours; whoever looks it up must also check that we are its author."""
    for part in (task, kind, str(rev)):
        # `--` inside a comment would end it for some parsers.
        if not _SAFE.fullmatch(part) or "--" in part:
            raise ValueError(f"{part!r} may not stand in a marker")
    message = DOMAIN + msgspec.json.encode([*msgspec.structs.astuple(place), task, kind, str(rev)])
    mac = hmac.new(key, message, hashlib.sha256).hexdigest()[:MAC]
    return f"<!-- gatewright:1 task={task} kind={kind} rev={rev} mac={mac} -->"
