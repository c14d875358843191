"""Source digests computed again from git trees."""

from __future__ import annotations

import hashlib

from bot.audit.objects import Objects, TreeEntry
from bot.audit.source import EVIDENCE, source_digest

GITLINK = "160000"
Listing = tuple[tuple[bytes, str, str], ...]  # what source_digest takes, relative to a tree


class Trees:
    """The trees of one repository; what commits share is read and hashed once."""

    def __init__(self, objects: Objects) -> None:
        self._objects = objects
        self._digests: dict[str, str] = {}  # blob id -> sha256 of its content
        self._listings: dict[str, Listing] = {}

    def source(self, commit: str) -> str:
        """Compute the source digest of a commit from the contents themselves."""
        return source_digest(self._listing(self._objects.commit(commit).tree))

    def files(self, commit: str) -> dict[bytes, tuple[str, str]]:
        """List what a commit holds beside evidence: path -> mode and SHA-256 of the content."""
        listing = self._listing(self._objects.commit(commit).tree)
        return {path: (mode, sha256) for path, mode, sha256 in listing if not path.startswith(EVIDENCE)}

    def holds_source(self, commit: str) -> bool:
        """Tell whether a commit holds anything beside evidence."""
        return any(not path.startswith(EVIDENCE) for path, _, _ in self._listing(self._objects.commit(commit).tree))

    def _listing(self, tree: str) -> Listing:
        if tree not in self._listings:
            found: list[tuple[bytes, str, str]] = []
            for entry in self._objects.tree(tree):
                if entry.is_tree:
                    below = self._listing(entry.oid)
                    found += [(entry.path + b"/" + path, mode, sha256) for path, mode, sha256 in below]
                else:
                    found.append((entry.path, entry.mode, self._digest(entry)))
            self._listings[tree] = tuple(found)
        return self._listings[tree]

    def _digest(self, entry: TreeEntry) -> str:
        if entry.oid not in self._digests:
            content = entry.oid.encode() if entry.mode == GITLINK else self._objects.read(entry.oid, "blob")
            self._digests[entry.oid] = hashlib.sha256(content).hexdigest()
        return self._digests[entry.oid]
