"""The source digest: what a tree holds, whatever git thinks of its history."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Final

DOMAIN: Final = b"gatewright/audit/v1/source\n"
EVIDENCE: Final = b".gatewright/tasks/"  # left out: evidence grows while the source stays


def source_digest(entries: Iterable[tuple[bytes, str, str]]) -> str:
    """Hash (path, git mode such as `100644`, hex sha256 of the content) triples in byte order of their paths.

    A symbolic link's content is its target; a submodule's (`160000`) is its commit id in hex, as ASCII.
    """
    hasher = hashlib.sha256(DOMAIN)
    for path, mode, sha256 in sorted(entries):
        if not path.startswith(EVIDENCE):
            hasher.update(f"{mode} {sha256} ".encode("ascii") + path + b"\0")
    return hasher.hexdigest()
