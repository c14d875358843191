"""The hidden last line of what we write, by which an unfinished write is found again."""

from __future__ import annotations

import re
from typing import Final

_SAFE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9.:#_-]{0,79}")


def marker(task: str, kind: str, rev: int | str = 0) -> str:
    """Name one comment of ours; whoever looks it up must also check that we are its author."""
    for part in (task, kind, str(rev)):
        # `--` inside a comment would end it for some parsers.
        if not _SAFE.fullmatch(part) or "--" in part:
            raise ValueError(f"{part!r} may not stand in a marker")
    return f"<!-- gatewright:1 task={task} kind={kind} rev={rev} -->"
