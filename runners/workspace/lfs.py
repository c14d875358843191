"""Files that Git LFS keeps: a commit holds pointers to them, and what an agent writes there would be no pointer."""

from __future__ import annotations

import os
from typing import Final

import msgspec

from runners.workspace.git import Git
from runners.workspace.patch import NONE, Patch, Rule, Stray

WHAT: Final = "is kept in Git LFS; only a pointer stands here, and agents do not change it"


async def marked(git: Git, patch: Patch) -> Patch:
    """Add a finding for every changed file that the staged attributes give to Git LFS; deleting one is no finding."""
    paths = [change.path for change in patch.files if change.mode != NONE]
    if not paths:
        return patch
    asked = b"".join(os.fsencode(path) + b"\0" for path in paths)
    fields = (await git.run("check-attr", "--cached", "-z", "--stdin", "filter", input=asked)).split(b"\0")[:-1]
    kept = [os.fsdecode(path) for path, value in zip(fields[::3], fields[2::3], strict=True) if value == b"lfs"]
    return msgspec.structs.replace(patch, strays=(*patch.strays, *(Stray(Rule.LFS, path, WHAT) for path in kept)))
