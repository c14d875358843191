"""What people are asked about before work leaves the machine, in the form that records and blobs hold."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import msgspec
from msgspec.structs import replace

from bot.audit.blobs import Blobs
from bot.model.errors import GatewrightError
from bot.model.order import Order
from runners import evidence
from runners.providers.protocol import Recorder
from runners.scope.findings import digest, findings
from runners.scope.secrets import Exemption
from runners.scope.view import Finding
from runners.sight import look
from runners.workspace.git import Git
from runners.workspace.patch import NONE, Patch

OPS: Final = {"A": "add", "M": "modify", "D": "delete", "T": "retype"}
LONGEST_PATH: Final = 256  # what a record takes
FIRST, FIRST_BYTES = 24, 8 << 10  # findings that stand in a record itself


class Scope(msgspec.Struct, frozen=True):
    """What was found: part of the record's data, the whole list as JSON, and whether nobody needs to be asked."""

    data: dict[str, Any]
    content: bytes
    is_let_pass: bool


async def scope_of(
    git: Git, blobs: Blobs, order: Order, head: str, clean: Callable[[bytes], bytes], exempt: Sequence[Exemption] = ()
) -> Scope:
    """Hold base..head to the plan and the policy of an order."""
    view = await look(git, order.base_commit, head)
    found = findings(view, evidence.plan(order, blobs), order.policy, exempt)
    # Secrets go before the digest is taken: it is taken again from what is stored.
    found = tuple(
        replace(each, path=clean(each.path.encode()).decode(), detail=clean(each.detail.encode()).decode())
        for each in found
    )
    sha256 = digest(found)
    data = {"scope_sha256": sha256, "count": len(found), "findings": first(found)}
    return Scope(data, msgspec.json.encode(found), not found or sha256 in order.scope_approved)


def first(found: Sequence[Finding]) -> list[dict[str, str]]:
    """Take as many findings as one record holds: 24, and no more than 8 KiB of them."""
    rows: list[dict[str, str]] = []
    room = FIRST_BYTES
    for each in found[:FIRST]:
        row = {**msgspec.to_builtins(each), "path": recordable(each.path)}
        room -= len(msgspec.json.encode(row))
        if room < 0:
            break
        rows.append(row)
    return rows


def recordable(path: str) -> str:
    """Shorten a path that no record can hold, by a digest of the whole."""
    if len(path) <= LONGEST_PATH:
        return path
    return f"{path[:180]}...{hashlib.sha256(path.encode()).hexdigest()}"


def undecided() -> GatewrightError:
    """Say that nothing is pushed before people have decided."""
    return GatewrightError(
        "GW-SCOPE-UNDECIDED",
        "the change holds what its plan does not name or policy protects, and nobody has let that pass",
        why="the policy or the branch has changed since the scope was decided",
        fix="`retry`: the findings are put together again, and people are asked",
    )


async def report_files(recorder: Recorder, git: Git, patch: Patch, parent: str, digests: Mapping[bytes, str]) -> None:
    """Record what a commit did to each file; `digests` are those of its tree's contents, by path."""
    old = [change.path for change in patch.files if change.old_mode.startswith("100")]
    contents = git.objects([f"{parent}:{path}" for path in old])
    before = {path: hashlib.sha256(await anext(contents)).hexdigest() for path in old}
    await contents.aclose()
    for change in patch.files:
        data = {
            "path": recordable(change.path),
            "op": OPS.get(change.status, change.status),
            "old_sha256": before.get(change.path, ""),
            "new_sha256": digests.get(change.path.encode(), "") if change.mode != NONE else "",
        }
        recorder.record("file.change", data)
