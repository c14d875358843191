"""The hash chain: each record names the hash of the line before it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

import msgspec

from bot.audit import kinds
from bot.audit.record import SOFT_LIMIT, VERSION, Basis, Fault, Outcome, Record, RecordError, Ref, Who, decode, encode
from bot.model.errors import GatewrightError

GENESIS_DOMAIN: Final = b"gatewright/audit/v1/genesis\n"
RECORD_DOMAIN: Final = b"gatewright/audit/v1/record\n"


class Link(msgspec.Struct, frozen=True):
    """Where a chain ends: the number of its last record (-1 for none) and what the next one must name as `prev`."""

    seq: int
    hash: str


class Draft(msgspec.Struct, frozen=True):
    """A record that has no place in a chain yet."""

    kind: str
    data: kinds.Data
    actor: Who
    basis: Basis = "observed"
    outcome: Outcome = "ok"
    refs: tuple[Ref, ...] = ()


class ChainError(GatewrightError):
    """A journal that is not one unbroken chain; `seq` is the first record that is not what its neighbours say."""

    def __init__(self, seq: int, what: str, *, expected: str = "", found: str = "") -> None:
        super().__init__("GW-AUDIT-CHAIN", f"record {seq}: {what}")
        self.seq = seq
        self.fault = what
        self.expected = expected
        self.found = found


def genesis(instance: str, repo_key: str, task: str) -> str:
    """Name what record 0 follows: a hash of whose journal this is, so that none can pass for another's."""
    body = {"instance": instance, "repo": repo_key, "task": task}
    return hashlib.sha256(GENESIS_DOMAIN + msgspec.json.encode(body, order="sorted")).hexdigest()


def digest(line: bytes) -> str:
    """Hash a line as stored, without its line feed; the next record's `prev`."""
    return hashlib.sha256(RECORD_DOMAIN + line).hexdigest()


def walk(lines: Iterable[bytes], genesis: str) -> Iterator[tuple[Record, bytes]]:
    """Read a whole journal strictly; raise ChainError at the first record that does not fit."""
    seq, expected, task = 0, genesis, ""
    for line in lines:
        try:
            record = decode(line)
        except RecordError as error:
            raise ChainError(seq, f"{error.fault.value}: {error.what}", found=digest(line)) from error
        task = task or record.task
        if record.prev != expected or record.seq != seq or record.task != task:
            raise _misplaced(record, Link(seq - 1, expected), task)
        yield record, line
        seq, expected = seq + 1, digest(line)


def extend(tail: Link, drafts: Sequence[Draft], *, task: str, now_ms: int) -> tuple[list[bytes], Link]:
    """Chain drafts on to a tail; raise RecordError rather than write a line that nobody would accept."""
    lines: list[bytes] = []
    for draft in drafts:
        line = encode(_placed(draft, tail, task, now_ms))
        decode(line)  # construction checks no types: what we cannot read back we must not write
        if len(line) > SOFT_LIMIT:
            raise RecordError(Fault.LIMIT, f"{draft.kind}: a line of {len(line)} bytes; long values belong in a blob")
        lines.append(line)
        tail = Link(tail.seq + 1, digest(line))
    return lines, tail


def _placed(draft: Draft, tail: Link, task: str, now_ms: int) -> Record:
    return Record(
        actor=draft.actor,
        basis=draft.basis,
        data=msgspec.to_builtins(draft.data),
        kind=draft.kind,
        outcome=draft.outcome,
        prev=tail.hash,
        refs=tuple(sorted(draft.refs, key=lambda ref: ref.name)),
        seq=tail.seq + 1,
        task=task,
        ts=now_ms,
        v=VERSION,
    )


def _misplaced(record: Record, last: Link, task: str) -> ChainError:
    """Name the record at which belief ends, and why."""
    seq = last.seq + 1
    if record.prev != last.hash:
        if seq == 0:
            return ChainError(0, "does not follow the genesis of its task", expected=last.hash, found=record.prev)
        if record.seq == seq:
            # The line before was changed, or this one was: the earlier of the two is where belief ends.
            what = f"its hash is not what record {seq} names"
            return ChainError(last.seq, what, expected=record.prev, found=last.hash)
    if record.seq != seq:
        what = "a record is missing, moved or repeated"
        return ChainError(seq, what, expected=f"seq {seq}", found=f"seq {record.seq}")
    return ChainError(seq, "belongs to another task", expected=task, found=record.task)
