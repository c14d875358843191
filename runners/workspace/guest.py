"""The `.git` inside the agent's tree: for the agent to look around with, never read by us."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Final

from runners.workspace.files import erase, give
from runners.workspace.git import Git

# checkStat: the index is ours, its owner and inode differ in the jail; without it the first status reads every file.
CONFIG: Final = """\
[core]
\trepositoryformatversion = 0
\tfilemode = true
\tbare = false
\tcheckStat = minimal
\ttrustctime = false
[user]
\tname = agent
\temail = agent@sandbox
[gc]
\tauto = 0
"""


async def install(
    git: Git, tree: Path, *, commit: str, known: str, index: Path, objects: Path, owner: int | None
) -> None:
    """Put a fresh `.git` at `commit` into a tree; whatever was there is gone.

    It is made in our own directory and moved in, so nothing is ever written through a path that an agent shaped.
    Objects beyond `known` (a commit of the mirror) are copied, all others borrowed.
    """
    made = git.git_dir.parent / "guest.git"
    await erase(made)
    for folder in ("objects/info", "objects/pack", "refs/heads", "info"):
        (made / folder).mkdir(parents=True)
    (made / "HEAD").write_text("ref: refs/heads/task\n")
    (made / "config").write_text(CONFIG)
    (made / "refs/heads/task").write_text(f"{commit}\n")
    (made / "objects/info/alternates").write_text(f"{objects}\n")
    shutil.copyfile(index, made / "index")
    if commit != known:
        span = f"{commit}\n^{known}\n".encode()
        await git.run("pack-objects", "--quiet", "--revs", str(made / "objects/pack/pack"), input=span)
    await give(made, owner)
    await erase(tree / ".git")
    made.rename(tree / ".git")
