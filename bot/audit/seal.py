"""The end of a journal: what its last record says, and the statement about all of it; each derived from the records.

Whoever holds the lines can derive both again, so neither has to be believed.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Sequence
from typing import Final

from bot.audit import kinds
from bot.audit.chain import digest
from bot.audit.checks.standing import GATES, Standing
from bot.audit.keys import VKey
from bot.audit.merkle import Tree
from bot.audit.record import Record, data_of, decode
from bot.audit.sheet import Entry, Line
from bot.audit.statement import (
    Agreed,
    Envelope,
    EnvelopeError,
    Judged,
    Model,
    Predicate,
    Statement,
    Tests,
    statement,
)
from bot.model.state import State

PATH: Final = "seal.dsse.json"  # below a task's `audit/`
OTHER: Final = "GW-MERGED-OTHER"  # the alarm that names what was merged instead of our head


class SealError(ValueError):
    """A seal that does not say what the records come to, or that the wrong keys signed; the text says which."""


class Summing:
    """Follows a journal up to its seal."""

    def __init__(self, task: str, opened: kinds.TaskOpened) -> None:
        self.standing = Standing(task, opened)
        self.closed = kinds.TaskClosed("")
        self.merged = ""  # what was merged although it was not ours
        self.verdict: Entry | None = None
        self.judged: kinds.QaVerdict | None = None
        self.tests: dict[int, list[kinds.TestRun]] = {}  # by attempt
        self.models: dict[tuple[str, str], int] = {}
        self.blobs: set[str] = set()
        self.gone: set[str] = set()

    def take(self, entry: Entry) -> None:
        """Follow one record."""
        self.standing.take(entry)
        self.blobs.update(ref.commit for ref in entry.record.refs)
        match entry.data:
            case kinds.ModelCall(provider=provider, model=model):
                self.models[provider, model] = self.models.get((provider, model), 0) + 1
            case kinds.TestRun(attempt=attempt):
                self.tests.setdefault(attempt, []).append(entry.data)
            case kinds.QaVerdict():
                self.verdict, self.judged = entry, entry.data
            case kinds.Alarm(code=code, commit=commit) if code == OTHER:
                self.merged = commit
            case kinds.BlobRedacted(target=target):
                self.gone.add(target)
            case kinds.TaskClosed():
                self.closed = entry.data

    @property
    def seal(self) -> kinds.Seal:
        """Say what the last record has to say."""
        heads = self.standing.heads
        is_ours = not (self.merged and self.closed.state == State.DONE.value)
        return kinds.Seal(
            outcome=self.closed.state,
            commit=(heads[-1] if heads else "") if is_ours else self.merged,
            source_sha256=self.standing.source if is_ours else "",
            blobs=len(self.blobs),
            redacted=len(self.gone),
        )

    @property
    def agreed(self) -> tuple[Agreed, ...]:
        """List the votes by which gates were let pass, as far as nothing has taken them back."""
        standing = self.standing
        counted = [
            Agreed(one.entry.record.actor.id, one.entry.record.basis, one.data.digest, one.data.forge_ts, one.entry.seq,
                   gate.value)
            for gate in GATES.values()
            for one in standing.in_force(gate)
            if (passed := standing.passed.get(gate)) is not None
            and not passed.fell
            and (one.data.digest, True) == (passed.digest, one.person in passed.people)
        ]  # fmt: skip
        return tuple(sorted(counted, key=lambda one: one.seq))

    @property
    def checks(self) -> Tests:
        """Count the checks that ran on the commit that QA judged last."""
        if self.judged is None:
            return Tests("", 0, 0)
        commit = self.judged.commit
        runs = [run for run in self.tests.get(self.judged.attempt, []) if run.commit == commit]
        return Tests(commit, sum(run.exit != 0 for run in runs), len(runs))


def read(lines: Iterable[bytes]) -> tuple[Entry, ...]:
    """Read lines whose chain was checked; where they lie is left open."""
    found = []
    for line in lines:
        record = decode(line)
        found.append(Entry(record, data_of(record), Line(line, "", 0)))
    return tuple(found)


def closing(entries: Iterable[Entry]) -> kinds.Seal:
    """Say what the seal of these records has to say; raise SealError where they do not begin as a journal does."""
    return _summed(entries).seal


def derive(entries: Sequence[Entry]) -> Statement:
    """Derive the statement about a sealed journal; raise SealError where it is not sealed by its last record."""
    last = entries[-1] if entries else None
    if last is None or not isinstance(last.data, kinds.Seal):
        raise SealError("the last record is no seal")
    summed = _summed(entries[:-1])
    if summed.seal != last.data:
        raise SealError(f"the seal does not say what the {len(entries) - 1} records before it come to")
    journal = hashlib.sha256()
    tree = Tree()
    for entry in entries:
        journal.update(entry.line.content + b"\n")
        tree.append(entry.line.content)
    said = _predicate(summed, entries[0].record, last, base64.b64encode(tree.root()).decode("ascii"))
    return statement(journal.hexdigest(), last.data.source_sha256, said)


def check(envelope: Envelope, entries: Sequence[Entry], task_key: VKey, instance_keys: Iterable[VKey]) -> Statement:
    """Hold an envelope to a journal: signed by the task's key and one of the instance's, and saying what is derived.

    Raise SealError, which names the first thing that is not so.
    """
    try:
        is_by_task = envelope.is_by(task_key)
        is_by_instance = any(envelope.is_by(key) for key in instance_keys)
        said = envelope.statement()
    except EnvelopeError as error:
        raise SealError(str(error)) from None
    if not is_by_task:
        raise SealError("the task's key did not sign it")
    if not is_by_instance:
        raise SealError("no key of the instance signed it")
    differing = differences(said, derive(entries))
    if differing:
        raise SealError(f"it says otherwise than the records: {', '.join(differing)}")
    return said


def differences(said: Statement, derived: Statement) -> list[str]:
    """Name in what two statements differ: subjects, and fields of the predicate."""
    found = [] if said.subject == derived.subject else ["subject"]
    fields = Predicate.__struct_fields__
    return found + [name for name in fields if getattr(said.predicate, name) != getattr(derived.predicate, name)]


def _summed(entries: Iterable[Entry]) -> Summing:
    summing: Summing | None = None
    for entry in entries:
        if summing is None:
            if not isinstance(entry.data, kinds.TaskOpened):
                raise SealError("the first record does not open a task")
            summing = Summing(entry.record.task, entry.data)
        summing.take(entry)
    if summing is None:
        raise SealError("there are no records")
    return summing


def _predicate(summed: Summing, first: Record, last: Entry, root: str) -> Predicate:
    standing, verdict, judged = summed.standing, summed.verdict, summed.judged
    sealed = summed.seal
    drafts = {gate.value: draft.sha256 for gate, draft in standing.drafts.items()}
    return Predicate(
        approvals=summed.agreed,
        base_commit=standing.base_commit,
        commit=sealed.commit,
        emergency=bool(standing.emergencies),
        head=digest(last.line.content),
        models=tuple(Model(calls, model, provider) for (provider, model), calls in sorted(summed.models.items())),
        outcome=sealed.outcome,
        plan_sha256=drafts.get("plan", ""),
        policy_sha256=standing.policy.policy_sha256 if standing.policy else standing.opened.policy_sha256,
        qa=Judged(verdict.record.actor.id, verdict.seq, judged.verdict) if verdict and judged else None,
        records=last.seq + 1,
        redacted=sealed.redacted,
        repo=standing.opened.repo,
        root=root,
        sealed_ts=last.record.ts,
        spec_sha256=drafts.get("spec", ""),
        started_ts=first.ts,
        task=first.task,
        tests=summed.checks,
    )
