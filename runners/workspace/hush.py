"""Pushing without starting CI, where policy says that a person releases each commit.

GitHub and most others look for the mark in the message of the commit that is pushed. GitLab does so, too, and also
when a merge request is opened, which its push option does not cover; the option is for projects that match messages
themselves. Both leave alone what a person starts for a commit by hand.
"""

from __future__ import annotations

import re
from typing import Final

from bot.model.errors import GatewrightError
from bot.model.event import ForgeKind
from bot.model.order import Order
from runners.workspace.git import Git

MARK: Final = "[skip ci]"
MARKED: Final = re.compile(r"^\[skip ci\]$", re.MULTILINE)


def is_wanted(order: Order) -> bool:
    """Tell whether CI waits for a person."""
    return order.policy.ci == "hold"


def hushed(message: str) -> str:
    """Put the mark on a line of its own at the end of a message; trailers follow it."""
    return f"{message}\n\n{MARK}"


async def require(git: Git, commit: str) -> None:
    """Raise GW-CI-UNMARKED where a commit's message does not carry the mark: pushing it would start CI."""
    said = await git.run("show", "-s", "--no-notes", "--format=%B", commit)
    if MARKED.search(said.decode("utf-8", "replace")) is None:
        raise GatewrightError(
            "GW-CI-UNMARKED",
            f"commit {commit[:12]} would start CI if it was pushed",
            why="it was made before the policy held CI back, and a message cannot be changed afterwards",
            fix="`fix` and say what to change: the new commit keeps CI from starting",
        )


def options(order: Order) -> tuple[str, ...]:
    """List the push options for the branch of a task."""
    return ("ci.skip",) if is_wanted(order) and order.repo.forge is ForgeKind.GITLAB else ()
