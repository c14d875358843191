"""One journal record and its one canonical spelling (RFC 8785 under a closed profile)."""

from __future__ import annotations

import re
from enum import StrEnum
from functools import lru_cache
from typing import Any, Final, Literal

import msgspec

from bot.audit import kinds
from bot.model.errors import GatewrightError

VERSION: Final = 1
SOFT_LIMIT: Final = 16 * 1024  # bytes of a line that we write
HARD_LIMIT: Final = 64 * 1024  # bytes of a line that anybody reads

# Checked here and not by the decoder, which would match each anew: these few strings come back in every line.
_ACTOR: Final = re.compile(r"[a-z]{1,16}:[!-~]{1,230}")
_NAME: Final = re.compile(r"[a-z0-9_][a-z0-9_.-]{0,63}")
_TASK: Final = re.compile(r"[a-z0-9-]{1,64}")
SEEN: Final = 4_096  # strings whose check is remembered

Basis = Literal["observed", "forge", "signed", "claimed"]
Outcome = Literal["ok", "fail", "denied", "timeout", "cancelled"]
Role = Literal["requester", "approver", "author", "reviewer", "qa", "operator", "service"]
Type = Literal["human", "agent", "system", "forge"]


class Fault(StrEnum):
    """What can be wrong with a line, looked at alone."""

    LIMIT = "limit"
    PARSE = "parse"
    SCHEMA = "schema"
    CANONICAL = "canonical"


class RecordError(GatewrightError):
    """A line that is no record; `fault` says in which respect."""

    def __init__(self, fault: Fault, what: str) -> None:
        super().__init__("GW-AUDIT-RECORD", what)
        self.fault = fault


class Who(msgspec.Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """An actor by an id that never changes, never by a login: `github:583231`, `inst:<name>`, `agent:<name>`."""

    id: str
    role: Role
    type: Type


class Ref(msgspec.Struct, frozen=True, forbid_unknown_fields=True, gc=False):
    """A blob by its salted commitment; `size` counts the bytes of the content without the salt."""

    commit: str
    name: str
    size: kinds.Count


class Record(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One line of a journal; `ts` is Unix milliseconds UTC on the clock of control."""

    actor: Who
    basis: Basis
    data: dict[str, Any]
    kind: str
    outcome: Outcome
    prev: str
    refs: tuple[Ref, ...]
    seq: kinds.Count
    task: str
    ts: kinds.Count
    v: Literal[1]


_encode: Final = msgspec.json.Encoder(order="sorted").encode
_decode: Final = msgspec.json.Decoder(Record).decode


def encode(record: Record) -> bytes:
    """Spell a record as its canonical line without the line feed; raise RecordError over the hard limit."""
    try:
        line = _encode(record)
    except UnicodeEncodeError:
        raise RecordError(Fault.SCHEMA, "a string holds a lone surrogate") from None
    return _bounded(line)


def decode(line: bytes) -> Record:
    """Read a line strictly; raise RecordError unless these bytes are the only spelling of a valid record.

    The kinds' own types hold the profile: flat data, no floats, whole numbers below 2^53.
    """
    _bounded(line)
    try:
        record = _decode(line)
    except msgspec.ValidationError as error:
        raise RecordError(Fault.SCHEMA, str(error)) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise RecordError(Fault.PARSE, str(error)) from None
    except RecursionError:
        raise RecordError(Fault.PARSE, "nested too deeply") from None
    _check_names(record)
    data_of(record)
    # Duplicate keys, escapes, white space, -0 and unsorted keys all decode; only the bytes tell.
    if _encode(record) != line:
        raise RecordError(Fault.CANONICAL, "the line is not in canonical form")
    return record


def data_of(record: Record) -> kinds.Data:
    """Read a record's data as the struct of its kind; raise RecordError where the kind or its data is unknown."""
    shape = kinds.KINDS.get(record.kind)
    if shape is None:
        raise RecordError(Fault.SCHEMA, f"unknown kind {record.kind[:64]!a}")
    try:
        return msgspec.convert(record.data, shape)
    except msgspec.ValidationError as error:
        raise RecordError(Fault.SCHEMA, f"{record.kind}: {error}") from None


def _bounded(line: bytes) -> bytes:
    if len(line) > HARD_LIMIT:
        raise RecordError(Fault.LIMIT, f"a line of {len(line)} bytes; at most {HARD_LIMIT} are allowed")
    return line


def _check_names(record: Record) -> None:
    if not _is_actor(record.actor.id):
        raise RecordError(Fault.SCHEMA, f"not the id of an actor: {record.actor.id[:80]!a}")
    if not _is_task(record.task):
        raise RecordError(Fault.SCHEMA, f"not a task id: {record.task[:80]!a}")
    if not _is_sha(record.prev):
        raise RecordError(Fault.SCHEMA, f"prev is not a SHA-256 in hex: {record.prev[:80]!a}")
    if record.refs:
        _check_refs(record.refs)


def _check_refs(refs: tuple[Ref, ...]) -> None:
    before = ""
    for ref in refs:
        if not _is_name(ref.name) or not _is_sha(ref.commit):
            raise RecordError(Fault.SCHEMA, f"not a ref: {ref.name[:80]!a} {ref.commit[:80]!a}")
        if ref.name <= before:
            raise RecordError(Fault.CANONICAL, "refs are not sorted by unique names")
        before = ref.name


@lru_cache(SEEN)
def _is_actor(text: str) -> bool:
    return _ACTOR.fullmatch(text) is not None


@lru_cache(SEEN)
def _is_task(text: str) -> bool:
    return _TASK.fullmatch(text) is not None


@lru_cache(SEEN)
def _is_name(text: str) -> bool:
    return _NAME.fullmatch(text) is not None


def _is_sha(text: str) -> bool:
    """Tell whether these are 64 lower-case hex digits: read and spelled again, which is faster than a pattern."""
    try:
        return len(text) == 64 and bytes.fromhex(text).hex() == text
    except ValueError:
        return False
