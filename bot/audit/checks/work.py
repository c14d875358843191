"""Was the last work what QA judged, and what was published after it?"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any, Final

from bot.audit import kinds, seal
from bot.audit.sheet import Entry, Severity, Sheet
from bot.model.state import Gate, State, Step

# After the end of a task its delivery is still recorded, but nothing that would change what was delivered.
BEYOND_CLOSE: Final = (
    "spec.set", "plan.set", "approval", "approval.requested", "ruling", "emergency", "commit.intent", "commit.made",
    "file.change", "model.call", "tool.call", "test.run", "qa.verdict", "scope.found", "work.held", "task.closed",
    "task.opened",
)  # fmt: skip
WORKING: Final = (Step.CODING.value, Step.QA_FIXER.value)


class Work:
    """The last commit and the last verdict as of a record."""

    def __init__(self, sheet: Sheet) -> None:
        self.sheet = sheet
        self.steps: dict[int, str] = {}
        self.head: Entry | None = None  # the last commit, evidence included: what QA is sent to
        self.commit: Entry | None = None  # the last commit of work
        self.verdict: Entry | None = None
        self.tests: dict[int, list[Entry]] = {}  # by attempt
        self.wrote: set[int] = set()  # attempts that changed code
        self.closed: Entry | None = None
        self.sealed: Entry | None = None

    def take(self, entry: Entry) -> None:
        """Follow one record."""
        self._after_the_end(entry)
        self._done(entry)
        match entry.data:
            case kinds.AttemptStarted(attempt=attempt, step=step):
                self.steps[attempt] = step
            case kinds.CommitIntent(attempt=attempt):
                self.wrote.add(attempt)
            case kinds.CommitMade(attempt=attempt):
                self.head = entry
                self.commit = entry if self.steps.get(attempt) in WORKING else self.commit
            case kinds.CommitForeign(is_same_tree=False):
                self.head = self.commit = entry  # welcome, and judged anew
            case kinds.Command(verb="revise", accepted=True):
                self.head = self.commit = self.verdict = None  # what follows begins anew at the base
            case kinds.TestRun(attempt=attempt):
                self.tests.setdefault(attempt, []).append(entry)
            case kinds.QaVerdict():
                self._judge(entry, entry.data)
                self.verdict = entry

    def _done(self, entry: Entry) -> None:
        """Follow what delivers or ends the work."""
        match entry.data:
            case kinds.ApprovalRequested(what=Gate.CHANGE.value, source_sha256=source):
                self._publish(entry, source)
            case kinds.AttemptEnded(step=Step.PUBLISH.value, source_sha256=source) if entry.record.outcome == "ok":
                self._publish(entry, source)
            case kinds.Seal():
                self.sealed = entry
            case kinds.TaskClosed(state=state):
                if state == State.DONE.value:
                    self._publish(entry, "", Severity.INCOMPLETE)  # people may merge whatever they like
                self.closed = entry

    @property
    def judged(self) -> str:
        """The commit of the last verdict, empty before there is one."""
        commit: str = getattr(self.verdict.data, "commit", "") if self.verdict else ""
        return commit

    def _after_the_end(self, entry: Entry) -> None:
        if self.sealed is not None:
            self.sheet.find("end", "nothing may follow the seal", entry)
        elif self.closed is not None and entry.record.kind in BEYOND_CLOSE:
            self.sheet.find("end", "the task had ended before", entry)

    def _judge(self, entry: Entry, data: kinds.QaVerdict) -> None:
        if self.head is None:
            self.sheet.find("qa", "judges before there is any work", entry)
            return
        if entry.record.actor.role != "qa" or data.attempt in self.wrote:
            self.sheet.find("qa", "the verdict is by whoever wrote the change", entry, found=entry.record.actor.id)
        made: Any = self.head.data
        if data.commit != made.commit:
            self.sheet.find("qa", "judges another commit than the last", entry, expected=made.commit, found=data.commit)
        elif isinstance(made, kinds.CommitMade) and data.source_sha256 != made.source_sha256:
            what = "judges another source than that of the commit it names"
            self.sheet.find("qa", what, entry, expected=made.source_sha256, found=data.source_sha256)
        self._tests(entry, data)

    def _tests(self, entry: Entry, data: kinds.QaVerdict) -> None:
        """Every check that ran in this round ran on the judged commit; runs on the base may stand beside it."""
        runs = self.tests.get(data.attempt, [])
        here = [run for run in runs if getattr(run.data, "commit", "") == data.commit]
        covered = {getattr(run.data, "suite", "") for run in here}
        for run in runs:
            test: Any = run.data
            if test.suite not in covered:
                what = f"'{test.suite}' ran on another commit than QA judged"
                self.sheet.find("tests", what, run, expected=data.commit, found=test.commit)
        if not runs:
            self.sheet.doubt(f"that checks ran in QA round {data.round}: none are recorded")
        elif data.verdict == "passed" and any(getattr(run.data, "exit", 0) for run in here):
            self.sheet.find("qa", "passed although a check failed", entry)

    def _publish(self, entry: Entry, source: str, severity: Severity = Severity.TAMPERED) -> None:
        if self.verdict is None or self.commit is None:
            self.sheet.find("change", "was published without ever being judged", entry, severity=severity)
            return
        judged: Any = self.verdict.data
        if self.commit.seq > self.verdict.seq:
            made: Any = self.commit.data
            what = f"was published although work went on after the verdict, in record {self.commit.seq}"
            found = made.commit
            self.sheet.find("change", what, entry, severity=severity, expected=judged.commit, found=found)
        elif source and source != judged.source_sha256:
            what = "what was published is not the source that QA judged"
            self.sheet.find("change", what, entry, expected=judged.source_sha256, found=source)


def check(entries: Sequence[Entry], sheet: Sheet) -> Work:
    """Hold tests, verdicts, publication and the end of the task to each other."""
    work = Work(sheet)
    for entry in entries:
        work.take(entry)
    _sealed(entries, sheet)
    _clock(entries, sheet)
    if work.verdict is not None and not sheet.failed("qa"):
        data: Any = work.verdict.data
        met = f"{data.met} of {data.criteria} criteria met"
        sheet.hold("qa", f"{data.verdict} in round {data.round}, {met}, on {data.commit[:12]}")
    runs = work.tests.get(getattr(work.verdict.data, "attempt", 0), []) if work.verdict else []
    if runs and not sheet.failed("tests"):
        passed = sum(getattr(run.data, "exit", 1) == 0 for run in runs)
        sheet.hold("tests", f"{passed} of {len(runs)} passed, run on the commit that QA judged")
    return work


def _sealed(entries: Sequence[Entry], sheet: Sheet) -> None:
    """Derive again what a seal has to say of the records before it."""
    last = entries[-1] if entries else None
    if last is None or not isinstance(last.data, kinds.Seal):
        return
    try:
        derived = seal.closing(entries[:-1])
    except seal.SealError as error:
        sheet.find("end", f"the seal cannot be derived: {error}", last)
        return
    for name in kinds.Seal.__struct_fields__:
        expected, found = (str(getattr(one, name)) for one in (derived, last.data))
        if expected != found:
            what = f"the seal's {name} is not what the records before it come to"
            sheet.find("end", what, last, expected=expected, found=found)
            return
    sheet.hold("end", f"{last.data.outcome}, sealed by record {last.seq}")


def _clock(entries: Sequence[Entry], sheet: Sheet) -> None:
    """Note a clock that ran back without a record saying so; times are control's own word anyway."""
    for before, after in itertools.pairwise(entries):
        if after.record.ts < before.record.ts and after.record.kind != "clock.jump":
            sheet.doubt(f"the times from record {after.seq} on: the clock ran back there")
            return
