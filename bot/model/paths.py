"""Which paths a plan may name."""

from __future__ import annotations

import re
from typing import Final

MAX_PATH: Final = 300
_FORBIDDEN: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\\`,*?<>|\"]")
_DRIVE: Final = re.compile(r"[A-Za-z]:")


def unsafe(path: str) -> str | None:
    """Say why a path may not be named; None where it lies plainly below the repository's root."""
    if not path or len(path) > MAX_PATH or path != path.strip():
        return f"is empty, begins or ends with a blank, or is longer than {MAX_PATH} characters"
    if path.startswith(("/", "~")) or _DRIVE.match(path):
        return "is absolute"
    if _FORBIDDEN.search(path):
        return "holds a character that file names here may not have"
    return _reserved(path.split("/"))


def _reserved(parts: list[str]) -> str | None:
    if any(part in ("", ".", "..") for part in parts):
        return "is a folder, or has empty, `.` or `..` parts"
    # Git on case-insensitive disks, and Windows, read these as `.git`.
    if any(part.casefold().rstrip(". ") in (".git", "git~1") for part in parts):
        return "lies in git's own folder"
    if [part.casefold() for part in parts[:2]] == [".gatewright", "tasks"]:
        return "lies where the evidence is kept"
    return None
