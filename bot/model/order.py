"""What control tells a worker to do: one attempt, signed as a whole."""

from __future__ import annotations

import msgspec

from bot.model.event import Repo
from bot.model.task import Artifact, Step


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
    model: str
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
