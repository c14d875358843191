"""The twelve things that regulators ask of a change, each from what the other checks found."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from bot.audit import kinds
from bot.audit.checks.standing import person_of
from bot.audit.checks.work import WORKING
from bot.audit.report import when
from bot.audit.sheet import Entry, Finding, Rule, Sheet
from bot.model.state import Gate
from bot.policy.rules import review_due

OK: Final = "ok"
FAILED: Final = "failed"
NOTHING: Final = "not applicable"
GATES: Final = frozenset(gate.value for gate in Gate)
ASKING: Final = frozenset({"approval.requested", "approval", "ruling", "emergency", "emergency.reviewed", ""})
REVIEWING: Final = (kinds.Emergency, kinds.EmergencyReviewed)


class Facts(msgspec.Struct, frozen=True):
    """What the rules look at."""

    entries: Sequence[Entry]
    sheet: Sheet

    def found(self, *checks: str) -> Finding | None:
        """Name the first finding of some checks."""
        return next((one for one in self.sheet.findings if one.check in checks), None)

    def at_gates(self, *, asking: bool) -> Finding | None:
        """Name the first finding at a gate: about what was asked and answered, or about what was done without."""
        found = (one for one in self.sheet.findings if one.check in GATES and (one.kind in ASKING) is asking)
        return next(found, None)

    def of(self, *shapes: type[kinds.Data]) -> list[Entry]:
        """List the records of some kinds."""
        return [entry for entry in self.entries if isinstance(entry.data, shapes)]


def judged(entries: Sequence[Entry], sheet: Sheet) -> tuple[Rule, ...]:
    """Answer all twelve, in their order."""
    facts = Facts(entries, sheet)
    return tuple(_rule(number, name, rule, facts) for number, (name, rule) in enumerate(RULES, 1))


def _rule(number: int, name: str, rule: Callable[[Facts], tuple[str, str]], facts: Facts) -> Rule:
    result, why = rule(facts)
    return Rule(number, name, result, why)


def _by(finding: Finding | None, why: str) -> tuple[str, str]:
    return (FAILED, finding.what) if finding is not None else (OK, why)


def _before(facts: Facts) -> tuple[str, str]:
    work = [entry for entry in facts.of(kinds.AttemptStarted) if getattr(entry.data, "step", "") in WORKING]
    if not work:
        return NOTHING, "no work was begun"
    return _by(facts.at_gates(asking=False), f"work began with record {work[0].seq}, after its approvals")


def _bound(facts: Facts) -> tuple[str, str]:
    given = facts.of(kinds.Approval)
    if not given:
        return NOTHING, "nobody approved anything"
    return _by(facts.at_gates(asking=True), f"{len(given)} approvals, each of the digest in force")


def _apart(facts: Facts) -> tuple[str, str]:
    if finding := facts.found("rulings", "roles"):
        return FAILED, finding.what
    passed = [
        e.data for e in facts.of(kinds.RulingMade) if isinstance(e.data, kinds.RulingMade) and e.data.ruling.passed
    ]
    if not passed:
        return NOTHING, "no gate was passed"
    for data in passed:
        parts = data.case.parts
        own = {parts.labeller, parts.author, *parts.writer, *parts.committer}
        both = sorted(one.person for one in data.ruling.tallies if not one.code and one.person in own)
        if both:
            return FAILED, f"account {both[0]} approved the {data.case.gate.value} and had asked for it or worked on it"
    people = {one.person for data in passed for one in data.ruling.tallies if not one.code}
    return OK, f"{len(people)} people approved, none of whom had asked for it or worked on it"


def _unchanged(facts: Facts) -> tuple[str, str]:
    if not facts.of(kinds.QaVerdict):
        return NOTHING, "QA judged nothing"
    found = facts.found("change", "end", "branch", "merged", "foreign")
    return _by(found, "nothing was changed after the last verdict and approval")


def _tested(facts: Facts) -> tuple[str, str]:
    verdicts = facts.of(kinds.QaVerdict)
    if not verdicts:
        return NOTHING, "QA judged nothing"
    commit = getattr(verdicts[-1].data, "commit", "")
    runs = [entry for entry in facts.of(kinds.TestRun) if getattr(entry.data, "commit", "") == commit]
    if not runs:
        return FAILED, f"no check is recorded on {commit[:12]}"
    return _by(facts.found("tests"), f"{len(runs)} checks ran on {commit[:12]}")


def _other(facts: Facts) -> tuple[str, str]:
    verdicts = facts.of(kinds.QaVerdict)
    if not verdicts:
        return NOTHING, "QA judged nothing"
    wrote = {getattr(entry.data, "attempt", 0) for entry in facts.of(kinds.CommitIntent)}
    for entry in verdicts:
        if entry.record.actor.role != "qa" or getattr(entry.data, "attempt", 0) in wrote:
            return FAILED, f"record {entry.seq}: the verdict is by whoever wrote the change"
    return OK, "each verdict is by an attempt of its own, which wrote nothing"


def _answered(facts: Facts) -> tuple[str, str]:
    calls = facts.of(kinds.ModelCall, kinds.ToolCall)
    return _by(facts.found("calls"), f"{len(calls)} calls, each with its result") if calls else (NOTHING, "no call")


def _named(facts: Facts) -> tuple[str, str]:
    calls = facts.of(kinds.ModelCall)
    if not calls:
        return NOTHING, "no model was asked"
    nameless = [e.seq for e in calls if not (getattr(e.data, "provider", "") and getattr(e.data, "model", ""))]
    if nameless:
        return FAILED, f"record {nameless[0]} names no provider or model"
    return _by(facts.found("models"), f"{len(calls)} calls, each of a named model that policy allows")


def _policy(facts: Facts) -> tuple[str, str]:
    changed = len(facts.of(kinds.PolicyChanged)) - 1
    if changed < 0:
        return FAILED, "no record holds the policy"
    return _by(facts.found("policy"), f"changed {changed} times, each by a record" if changed else "never changed")


def _reviewed(facts: Facts) -> tuple[str, str]:
    rulings = [e.data for e in facts.of(kinds.RulingMade) if isinstance(e.data, kinds.RulingMade)]
    let_pass = [one.case for one in rulings if one.ruling.passed and one.ruling.is_emergency]
    passed = dict.fromkeys((case.gate.value, case.digest) for case in let_pass)
    if not passed:
        return NOTHING, "no gate was passed in an emergency"
    is_sealed, last = any(e.record.kind == "seal" for e in facts.entries), facts.entries[-1].record.ts
    waiting = ""
    for gate, digest in passed:
        due, is_reviewed = _review(facts, gate, digest)
        if not is_reviewed and (is_sealed or due < last):
            return FAILED, f"nobody else reviewed what passed the {gate} gate, which was due by {when(due)}"
        waiting = waiting or ("" if is_reviewed else f"not due yet: the {gate} gate, by {when(due)}")
    return (NOTHING, waiting) if waiting else (OK, f"{len(passed)} reviewed in time, each by somebody else")


def _review(facts: Facts, gate: str, digest: str) -> tuple[int, bool]:
    """Tell by when an emergency had to be reviewed, and whether a person who did not break the glass did by then."""
    found = facts.of(*REVIEWING)
    about = [e for e in found if (getattr(e.data, "what", ""), getattr(e.data, "digest", "")) == (gate, digest)]
    broken = [(person_of(e.record), e.data.review_due_ts) for e in about if isinstance(e.data, kinds.Emergency)]
    due, breakers = review_due(broken), {person for person, _ in broken}
    said = [e.record for e in about if isinstance(e.data, kinds.EmergencyReviewed)]
    return due, any(
        one.actor.type == "human" and one.ts <= due and person_of(one) not in {0, *breakers} for one in said
    )


def _whole(facts: Facts) -> tuple[str, str]:
    if finding := facts.found("merged", "seal"):
        return FAILED, finding.what
    if any(entry.record.kind == "seal" for entry in facts.entries):
        return OK, "sealed; whether every merged commit of the bot is of one such task is for --all"
    return NOTHING, "the task is not sealed in this copy"


def _clock(facts: Facts) -> tuple[str, str]:
    others = [entry for entry in facts.of(kinds.Approval, kinds.Command) if getattr(entry.data, "forge_ts", 0)]
    if not others and facts.found("clock") is None:
        return NOTHING, "no other clock was recorded"
    return _by(facts.found("clock"), f"within tolerance of {len(others)} times by the forge")


RULES: Final[tuple[tuple[str, Callable[[Facts], tuple[str, str]]], ...]] = (
    ("approval before change", _before),
    ("the approved digest is what was in force", _bound),
    ("approvers are people with permission, and neither asked for it nor wrote it", _apart),
    ("no change after the last verdict and approval", _unchanged),
    ("tests ran on the commit that was sealed", _tested),
    ("QA is not the author", _other),
    ("every call has a result", _answered),
    ("every model is identified", _named),
    ("policy is constant, or its change is recorded", _policy),
    ("emergencies were reviewed in time", _reviewed),
    ("the merged change belongs to one sealed task", _whole),
    ("clocks agree with the forge and time stamps", _clock),
)
