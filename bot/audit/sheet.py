"""What verifying found: what held, what did not, and what nobody can tell from here."""

from __future__ import annotations

from enum import StrEnum
from typing import Final

import msgspec

from bot.audit.chain import digest
from bot.audit.kinds import Data
from bot.audit.record import Record

LEVELS: Final = {-1: "nothing"} | {number: f"L{number}" for number in range(6)}


class Severity(StrEnum):
    """What a finding means for the exit code."""

    TAMPERED = "tampered"  # 1
    INCOMPLETE = "incomplete"  # 2
    UNREADABLE = "unreadable"  # 4


class Line(msgspec.Struct, frozen=True):
    """One stored line of a journal and where it lies; `number` counts from 1."""

    content: bytes
    file: str
    number: int


class Entry(msgspec.Struct, frozen=True):
    """One record that was read, with its data typed and its place."""

    record: Record
    data: Data
    line: Line

    @property
    def seq(self) -> int:
        """The number of the record."""
        return self.record.seq


class Finding(msgspec.Struct, frozen=True):
    """Something that is not as it should be; `at_ms` and `kind` are the record's, where there is one."""

    check: str
    severity: Severity
    what: str
    record: int | None = None
    kind: str = ""
    at_ms: int = 0
    expected: str = ""
    found: str = ""
    file: str = ""
    line: int = 0


class Held(msgspec.Struct, frozen=True):
    """Something that was checked and is as it should be."""

    check: str
    text: str


class Attention(msgspec.Struct, frozen=True):
    """Something that nobody forged and everybody should see: an emergency, an alarm, somebody else's commit."""

    what: str
    record: int
    kind: str
    at_ms: int


class Rule(msgspec.Struct, frozen=True):
    """One of the twelve things that regulators ask of a change; `result` is ok, failed or not applicable."""

    number: int
    name: str
    result: str
    why: str = ""


class Verdict(msgspec.Struct, frozen=True):
    """The answer about one task."""

    task: str
    title: str
    source: str  # which bytes were read: work tree, commit, ref
    records: int
    first_ms: int
    last_ms: int
    state: str  # "open", "closed (done)", "sealed", "unknown"
    level: str
    held: tuple[Held, ...]
    findings: tuple[Finding, ...]
    not_proven: tuple[str, ...]
    attention: tuple[Attention, ...] = ()
    asked: str = "L1"
    regulator: tuple[Rule, ...] = ()

    @property
    def exit_code(self) -> int:
        """0 reached the level asked without a finding, 1 tampered, 2 incomplete, 4 unreadable."""
        found = {finding.severity for finding in self.findings}
        codes = {Severity.TAMPERED: 1, Severity.UNREADABLE: 4, Severity.INCOMPLETE: 2}
        is_short = self.level < self.asked  # "nothing" comes after them all, and always has findings
        return next((code for severity, code in codes.items() if severity in found), 2 if is_short else 0)


class Gap(msgspec.Struct, frozen=True):
    """A change, or a task, that is not accounted for."""

    severity: Severity
    what: str
    task: str = ""
    commit: str = ""


class Count(msgspec.Struct, frozen=True):
    """What looking at a whole branch came to; `changes` are the commits that are the bot's or touch evidence."""

    tip: str
    since: str
    commits: int
    changes: int
    gaps: tuple[Gap, ...]


class Sheet:
    """Where checks write down what they see about one task."""

    def __init__(self) -> None:
        self.held: list[Held] = []
        self.findings: list[Finding] = []
        self.not_proven: list[str] = []
        self.attention: list[Attention] = []

    def hold(self, check: str, text: str) -> None:
        """Note what held."""
        self.held.append(Held(check, text))

    def doubt(self, text: str) -> None:
        """Note once what is not proven, as the rest of a sentence that begins `that ...`."""
        if text not in self.not_proven:
            self.not_proven.append(text)

    def attend(self, what: str, entry: Entry) -> None:
        """Point at a record that is in order and should be seen all the same."""
        self.attention.append(Attention(what, entry.seq, entry.record.kind, entry.record.ts))

    def find(
        self,
        check: str,
        what: str,
        entry: Entry | None = None,
        *,
        severity: Severity = Severity.TAMPERED,
        expected: str = "",
        found: str = "",
        file: str = "",
        line: int = 0,
    ) -> None:
        """Note what is wrong, at a record where there is one."""
        where = (entry.line.file, entry.line.number) if entry else (file, line)
        self.findings.append(
            Finding(
                check=check,
                severity=severity,
                what=what,
                record=entry.seq if entry else None,
                kind=entry.record.kind if entry else "",
                at_ms=entry.record.ts if entry else 0,
                expected=expected,
                found=found,
                file=where[0],
                line=where[1],
            )
        )

    def failed(self, check: str, severity: Severity | None = None) -> bool:
        """Tell whether a check has a finding, of one severity where it is given."""
        return any(f.check == check and severity in (None, f.severity) for f in self.findings)


def hash_of(line: Line) -> str:
    """Spell the hash of a line for people."""
    return f"sha256:{digest(line.content)}"
