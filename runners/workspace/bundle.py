"""Commits that are on no forge: packed into one file, and taken out of it again elsewhere."""

from __future__ import annotations

from typing import Final

from runners.workspace.git import Git, GitError

LARGEST: Final = 96 << 20  # bytes; what one attempt may commit is less
HEAD: Final = "refs/gatewright/head"
TAKEN: Final = "refs/gatewright/held"
KINDS: Final = (b"# v2 git bundle\n", b"# v3 git bundle\n")


async def pack(git: Git, base: str) -> bytes:
    """Bundle everything between `base` and the worktree's head; raise GW-WORK-HELD where that is too much."""
    outcome = await git.call("bundle", "create", "--quiet", "-", HEAD, f"^{base}", limit=LARGEST)
    if outcome.truncated:
        raise _refused(f"it would take more than {LARGEST >> 20} MiB")
    if outcome.code:
        raise _refused(outcome.err.strip()[-500:])
    return outcome.out


async def unpack(git: Git, content: bytes, *, base: str, head: str) -> None:
    """Bring the commits of a bundle into a git directory of ours; raise GW-WORK-HELD unless they are base..head.

    The caller knows from a signed order which bytes these have to be. Objects are checked all the same, because they
    are an agent's, and git is given nothing of the bundle but them.
    """
    if len(content) > LARGEST:
        raise _refused(f"it has {len(content)} bytes, {LARGEST} are allowed")
    header, _, objects = content.partition(b"\n\n")
    named = [line for line in header.split(b"\n")[1:] if not line.startswith((b"-", b"@"))]
    if not header.startswith(KINDS) or named != [f"{head} {HEAD}".encode()]:
        raise _refused("it is no bundle that ends at the commit that the order names")
    outcome = await git.call("index-pack", "--stdin", "--fix-thin", "--strict", input=objects)
    if outcome.code:
        raise _refused(outcome.err.strip()[-500:])
    if (await git.call("merge-base", "--is-ancestor", base, head)).code:
        raise _refused("it does not begin at the task's base commit")
    await git.run("update-ref", TAKEN, head)


def _refused(why: str) -> GitError:
    return GitError(
        "GW-WORK-HELD",
        "work that was held back cannot be packed or taken up",
        why=why,
        fix="`retry` on the machine that did the work, or `revise` the plan into smaller steps",
    )
