"""Look for secrets in what git is about to keep or to send, and say no."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from contextlib import aclosing
from typing import Final

from bot.audit.redact import find
from bot.model.errors import GatewrightError
from bot.model.order import Order
from bot.model.policy import Policy
from bot.policy.repository import PolicyFileError, whole
from runners.scope.secrets import Content, Exemption, Leak, exemptions, leaks
from runners.sight import is_blob, rows
from runners.workspace.git import Git

SHOWN: Final = 10  # leaks that a message lists
BRANCH: Final = "name of the branch"
FALSE: Final = {  # what helps against a false alarm, by policy.exemptions
    "count": 'If it is none, let it pass with [secrets] allow = ["path:kind"] in .gatewright.toml on the default '
    "branch, then `retry`",
    "ignored": "No file of the repository lets it pass: policy.exemptions is `ignored` here",
}


def allowed(raw: bytes | None, policy: Policy) -> tuple[Exemption, ...]:
    """Read what a repository lets pass out of its `.gatewright.toml`; raises PolicyFileError where that is unclear.

    Nothing does where the policy says that such exemptions are ignored.
    """
    if policy.exemptions == "ignored":
        return ()
    try:
        return exemptions(whole(raw or b"").get("secrets", {}))
    except ValueError as error:
        raise PolicyFileError("[secrets] in .gatewright.toml is not usable", str(error)) from None


async def between(
    git: Git, old: str, new: str, exempt: Sequence[Exemption] = (), known: Collection[str] = ()
) -> tuple[Leak, ...]:
    """List the secrets that one tree or commit adds to another, evidence left out, text and binary alike."""
    changed = await rows(git, old, new)
    names = [
        oid for row in changed for mode, oid in ((row.old_mode, row.old_oid), (row.mode, row.oid)) if is_blob(mode)
    ]
    contents = []
    async with aclosing(git.objects(names)) as objects:
        for row in changed:
            before = await anext(objects) if is_blob(row.old_mode) else b""
            after = await anext(objects) if is_blob(row.mode) else b""
            contents.append(Content(row.path, before, after, is_new=not is_blob(row.old_mode)))
    return await asyncio.to_thread(leaks, contents, exempt, known)


async def unpushed(
    git: Git, base: str, head: str, *, there: str, exempt: Sequence[Exemption] = (), known: Collection[str] = ()
) -> tuple[Leak, ...]:
    """List the secrets that any commit of base..head adds, message and files, save those below `there`.

    Every commit is looked at by itself: one that takes a secret away does not take it out of what is pushed.
    """
    bounds = [head, f"^{base}", *([f"^{there}"] if there else [])]
    found: list[Leak] = []
    for line in (await git.run("rev-list", "--reverse", "--parents", *bounds)).decode().splitlines():
        commit, parent = line.split()[:2]
        message = await git.run("show", "-s", "--no-notes", "--format=%B%n%an <%ae>", commit)
        found += [Leak(f"message of commit {commit[:12]}", 0, hit.kind) for hit in find(message, known)]
        found += await between(git, parent, commit, exempt, known)
    return tuple(dict.fromkeys(found))


def named(branch: str, known: Collection[str] = ()) -> tuple[Leak, ...]:
    """List the secrets in the name of a branch."""
    return tuple(Leak(BRANCH, 0, hit.kind) for hit in find(branch.encode("utf-8", "replace"), known))


async def pushing(
    git: Git, order: Order, head: str, there: str, exempt: Sequence[Exemption], known: Collection[str]
) -> tuple[Leak, ...]:
    """List the secrets that a push of an order's branch would send, where the forge has it up to `there`."""
    found = await unpushed(git, order.base_commit, head, there=there, exempt=exempt, known=known)
    return (*named(order.branch, known), *found)


def refused(found: Sequence[Leak], policy: Policy) -> GatewrightError:
    """Say where secrets are that are not pushed, and nothing of them, and how to go on."""
    more = f", and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
    is_named = any(leak.path == BRANCH for leak in found)
    out = (
        "`cancel`, change the title and set the label again: the branch has its name from there"
        if is_named
        else "say `fix take it out of ...`: the commits are then made anew without it"
    )
    return GatewrightError(
        "GW-SECRET-FOUND",
        "the work holds what looks like a secret, so it is not pushed anywhere",
        why="; ".join(str(leak) for leak in found[:SHOWN]) + more,
        fix=f"revoke it if it is one, and {out}. {FALSE[policy.exemptions]}",
    )
