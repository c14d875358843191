"""What control tells a worker to do: one attempt, signed as a whole."""

from __future__ import annotations

import msgspec

from bot.model.allowance import Allowance, Scope
from bot.model.event import Repo
from bot.model.gates import Artifact
from bot.model.policy import Policy
from bot.model.state import Step


class Order(msgspec.Struct, frozen=True):
    """Everything an attempt needs and may know; a worker acts on nothing else.

    Blobs are named by commitment. `journal_size` and `journal_head` name the journal that is archived first and, for
    `publish`, committed beside the change.
    """

    task: str
    attempt: int
    step: Step
    round: int
    instance: str
    repo: Repo
    clone_url: str
    issue: int
    title: str
    issue_blob: str
    base_branch: str
    base_commit: str
    branch: str
    head: str  # last recorded commit of the work, empty before the first
    held_blob: str  # a git bundle that holds `head`, where it was not pushed; else empty
    scope_approved: tuple[str, ...]  # digests of scope findings that people let pass
    policy: Policy
    server_policy_sha256: str  # of [policy] as control has it; a worker with another one refuses
    model: str
    fallbacks: tuple[str, ...]  # model strings that may stand in, best first
    allowances: tuple[Allowance, ...]
    day: str  # UTC date that the attempt's use counts for, YYYY-MM-DD
    spec: Artifact | None
    plan: Artifact | None
    feedback: tuple[str, ...]
    verdict_blob: str
    genesis: str
    journal_size: int
    journal_head: str
    audit_ref: str
    wall_seconds: float
    turns: int
    issued_ms: int
    wall_scope: Scope = "attempt"  # whose limit `wall_seconds` is
    checkpoint: str = ""  # `<origin> <size> <base64 root>` of that journal, for commits to carry
