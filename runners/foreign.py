"""What people pushed to our branch is held to what agents are held to, before anything is built on it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from bot.audit.layout import ROOT, folder
from bot.audit.record import decode
from bot.model.errors import GatewrightError
from runners.workspace import trees
from runners.workspace.git import Git
from runners.workspace.patch import STEERING, review
from runners.workspace.staging import compare


async def examine(git: Git, task: str, base: str, head: str, *, journal: Iterable[bytes], upstream: str) -> None:
    """Raise GW-PATCH-REFUSED where base..head holds what no commit on our branch may hold.

    `upstream` is the newest commit of the default branch, for those who merged it into ours; empty where unknown.
    """
    patch = await compare(git, base, head, [])
    merged = {STEERING} if await _is_upstreams(git, STEERING, head, upstream) else set()
    sources = tuple(c for c in patch.files if not c.path.startswith(f"{ROOT}/") and c.path not in merged)
    for finding in review(msgspec.structs.replace(patch, files=sources)):
        raise _refused(finding.path or "the change", finding.what)
    await _examine_evidence(git, task, base, head, made(journal), upstream)


async def _is_upstreams(git: Git, path: str, head: str, upstream: str) -> bool:
    """Tell whether a file stands on our branch as it does on the default branch, where people merged that into ours."""
    if not upstream or (await git.call("cat-file", "-e", f"{upstream}^{{commit}}")).code:
        return False
    here, there = [await git.call("rev-parse", "--verify", f"{commit}:{path}") for commit in (head, upstream)]
    return here.code == there.code and (here.code != 0 or here.out == there.out)


def made(journal: Iterable[bytes]) -> list[str]:
    """List the commits that control has recorded as ours, newest first."""
    records = (decode(line) for line in journal)
    return [str(record.data["commit"]) for record in records if record.kind == "commit.made"][::-1]


async def _examine_evidence(git: Git, task: str, base: str, head: str, ours: Sequence[str], upstream: str) -> None:
    """Hold the evidence folder to what a commit of ours left there, byte for byte.

    The source digest leaves this folder out, so nothing else would notice a file in it. Who made a commit cannot be
    told from the commit: names and trailers can be written by anybody. The journal can tell: the order's signature
    covers its end, and `commit.made` stands there for every commit of ours. Such a commit holds no foreign evidence,
    because this check has run on the head before every attempt that commits, and commits take the folder over from
    their parent (worktree.commit) or write it themselves (worktree.write_files). So it suffices that the folder's tree
    id, which is a hash over names, modes and contents, is that of the newest recorded commit below the head, or, after
    somebody rebased the branch, of the newest recorded commit at all. Folders of other tasks come from the default
    branch and are held to that.
    """
    stands, before = await _folders(git, head), await _folders(git, base)
    above = await _folders(git, upstream) if upstream else {}
    for name in sorted({task, *stands, *before}):
        allowed = {before.get(name), above.get(name)} if name != task else await _own(git, task, base, head, ours)
        if stands.get(name) not in allowed:
            raise _refused(folder(name), "is evidence, and not as the bot wrote it")


async def _own(git: Git, task: str, base: str, head: str, ours: Sequence[str]) -> set[str | None]:
    present = [commit for commit in ours if not (await git.call("cat-file", "-e", f"{commit}^{{commit}}")).code]
    below = [commit for commit in present if not (await git.call("merge-base", "--is-ancestor", commit, head)).code]
    return {(await _folders(git, commit)).get(task) for commit in (*below[:1], *present[:1])} or {
        (await _folders(git, base)).get(task)
    }


async def _folders(git: Git, commit: str) -> dict[str, str]:
    tree = await trees.evidence(git, commit)
    return {name: f"{mode} {oid}" for name, (mode, oid) in (await trees.entries(git, tree)).items()} if tree else {}


def _refused(path: str, what: str) -> GatewrightError:
    return GatewrightError(
        "GW-PATCH-REFUSED",
        f"the branch holds what may not stand there: {path}",
        why=f"{path} {what}",
        fix="take it off the branch, then `retry`",
    )
