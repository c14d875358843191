"""What a commit says and in whose name; pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from runners.workspace.git import GitError

IDENTITY: Final = re.compile(r"^(?P<name>[^<>\n\0]+) <(?P<email>[^<>\s\0]+)>$")
TRAILER: Final = re.compile(r"^[A-Za-z][A-Za-z0-9-]*$")


def letter(message: str, trailers: Mapping[str, str] | None) -> str:
    """Join a commit message and its trailers; raise where one of them could pass for another."""
    if "\0" in message or not message.strip():
        raise GitError("GW-GIT-MESSAGE", "the commit message is empty or holds a NUL")
    rows = []
    for key, value in (trailers or {}).items():
        if not TRAILER.match(key) or any(char in value for char in "\n\r\0"):
            raise GitError("GW-GIT-MESSAGE", f"{key!r} is no trailer of one line")
        rows.append(f"{key}: {value}\n")
    return f"{message.strip()}\n" + (f"\n{''.join(rows)}" if rows else "")


def identity(role: str, person: str) -> dict[str, str]:
    """Turn `Name <mail>` into the environment that git reads."""
    match = IDENTITY.match(person)
    if match is None:
        raise GitError("GW-GIT-IDENTITY", f"{person!r} is not of the form `Name <mail>`")
    return {f"GIT_{role}_NAME": match["name"], f"GIT_{role}_EMAIL": match["email"]}
