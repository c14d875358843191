"""What phases produce: spec, plan, checks, verdicts."""

from __future__ import annotations

from enum import StrEnum

import msgspec


class Criterion(msgspec.Struct, frozen=True):
    """One acceptance criterion, `AC-1`, `AC-2`, ...; `text` is one line or paragraph of Markdown."""

    id: str
    text: str


class Spec(msgspec.Struct, frozen=True):
    """An approved or proposed spec, as its Markdown says it."""

    title: str
    summary: str
    criteria: tuple[Criterion, ...]
    out_of_scope: tuple[str, ...] = ()
    questions: tuple[str, ...] = ()


class PlanStep(msgspec.Struct, frozen=True):
    """One step of a plan: what, where, why, and how it is verified."""

    number: int
    title: str
    detail: str
    files: tuple[str, ...]
    criteria: tuple[str, ...]
    verify: str


class Plan(msgspec.Struct, frozen=True):
    """An ordered plan; `risks` are what a reviewer should look at first."""

    title: str
    summary: str
    steps: tuple[PlanStep, ...]
    risks: tuple[str, ...] = ()


class Met(StrEnum):
    """What QA found about one criterion."""

    MET = "met"
    NOT_MET = "not_met"
    UNCLEAR = "unclear"


class CriterionVerdict(msgspec.Struct, frozen=True):
    """QA's finding about one criterion, with the evidence it rests on."""

    id: str
    met: Met
    evidence: str


class CheckRun(msgspec.Struct, frozen=True):
    """One of the repository's own checks, run by the harness and judged by exit code alone."""

    name: str
    command: str
    exit_code: int
    duration_ms: int
    passed: int | None = None  # counts where the output states them
    failed: int | None = None
    skipped: int | None = None
    tail: str = ""  # end of the output, bounded

    @property
    def ok(self) -> bool:
        """Tell whether the check passed."""
        return self.exit_code == 0


class QaReport(msgspec.Struct, frozen=True):
    """The verdict of one QA round on one commit."""

    round: int
    commit: str
    source_sha256: str
    passed: bool
    checks: tuple[CheckRun, ...]
    criteria: tuple[CriterionVerdict, ...]
    summary: str = ""
    notes: tuple[str, ...] = ()
