"""What a task's records come to for people: who asked, who let what pass, which models, tests, verdict and cost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import msgspec

from bot.audit import cost, kinds
from bot.audit.checks.standing import Standing
from bot.audit.sheet import Entry
from bot.model.state import Gate, State


class Passed(msgspec.Struct, frozen=True):
    """A gate that was let pass and still is: the digest shown, the digest of its text, whose yes counted."""

    gate: str
    digest: str
    text_sha256: str
    people: tuple[str, ...]
    at_ms: int
    is_emergency: bool


class Used(msgspec.Struct, frozen=True):
    """A model and how often it was asked; both names are as claimed."""

    provider: str
    model: str
    calls: int


class Ran(msgspec.Struct, frozen=True):
    """One check of the repository's own in the last round of QA."""

    suite: str
    exit: int
    commit: str


class Judged(msgspec.Struct, frozen=True):
    """The last verdict of QA."""

    verdict: str
    met: int
    criteria: int
    commit: str


class Facts(msgspec.Struct, frozen=True):
    """One task in figures and names; times are Unix ms, 0 where it did not happen; people are ids that never change."""

    task: str
    repository: str
    forge: str
    issue: int
    requester: str
    author: str
    opened_ms: int
    approved_ms: int
    merged_ms: int
    ended_ms: int  # of the end, or of the last record of a task that still runs
    gates: tuple[Passed, ...]
    models: tuple[Used, ...]
    tests: tuple[Ran, ...]
    qa: Judged | None
    emergencies: int
    commit: str
    source_sha256: str
    calls: int
    tokens_in: int
    tokens_out: int
    micro_usd: int | None

    def people(self, gate: str) -> tuple[str, ...]:
        """Name whose yes let a gate pass."""
        return next((one.people for one in self.gates if one.gate == gate), ())


def facts(entries: Sequence[Entry]) -> Facts | None:
    """Gather them from records that were believed; None unless the first says whose task this is."""
    opened = entries[0].data if entries else None
    if not isinstance(opened, kinds.TaskOpened):
        return None
    standing = Standing(entries[0].record.task, opened)
    for entry in entries:
        standing.take(entry)
    qa = next((e.data for e in reversed(entries) if isinstance(e.data, kinds.QaVerdict)), None)
    seal = next((e.data for e in reversed(entries) if isinstance(e.data, kinds.Seal)), None)
    ended = [e for e in entries if isinstance(e.data, kinds.TaskClosed)]
    merged = [e.record.ts for e in ended if getattr(e.data, "state", "") == State.DONE.value]
    used = msgspec.json.decode(cost.cost((entry.record, entry.data) for entry in entries))["total"]
    gates = _gates(standing, opened.forge)
    return Facts(
        task=standing.task,
        repository=opened.path,
        forge=opened.forge,
        issue=opened.issue,
        requester=_person(opened.forge, opened.labeller),
        author=_person(opened.forge, opened.author),
        opened_ms=entries[0].record.ts,
        approved_ms=next((one.at_ms for one in gates if one.gate == Gate.CHANGE.value), 0),
        merged_ms=merged[0] if merged else 0,
        ended_ms=(ended or entries)[-1].record.ts,
        gates=gates,
        models=_models(entries),
        tests=_tests(entries, qa),
        qa=Judged(qa.verdict, qa.met, qa.criteria, qa.commit) if qa else None,
        emergencies=sum(isinstance(entry.data, kinds.Emergency) for entry in entries),
        commit=seal.commit if seal else qa.commit if qa else "",
        source_sha256=seal.source_sha256 if seal else qa.source_sha256 if qa else "",
        **{name: used[name] for name in ("calls", "tokens_in", "tokens_out", "micro_usd")},
    )


def _gates(standing: Standing, forge: str) -> tuple[Passed, ...]:
    """List what stands at the end, in the order in which it was let pass."""
    found = []
    for gate, passing in sorted(standing.passed.items(), key=lambda one: one[1].entry.seq):
        draft = standing.drafts.get(gate)
        people = tuple(sorted({_person(forge, person) for person in passing.people}))
        text, at = draft.sha256 if draft else "", passing.entry.record.ts
        if not passing.fell:
            found.append(Passed(gate.value, passing.digest, text, people, at, passing.is_emergency))
    return tuple(found)


def _models(entries: Sequence[Entry]) -> tuple[Used, ...]:
    calls = Counter((e.data.model, e.data.provider) for e in entries if isinstance(e.data, kinds.ModelCall))
    return tuple(Used(provider, model, count) for (model, provider), count in sorted(calls.items()))


def _tests(entries: Sequence[Entry], qa: kinds.QaVerdict | None) -> tuple[Ran, ...]:
    runs: list[Any] = [entry.data for entry in entries if isinstance(entry.data, kinds.TestRun)]
    return tuple(Ran(run.suite, run.exit, run.commit) for run in runs if qa and run.attempt == qa.attempt)


def _person(forge: str, number: int) -> str:
    return f"{forge}:{number}" if number else ""
