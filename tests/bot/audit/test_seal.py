from __future__ import annotations

import base64
import hashlib

import pytest
from msgspec.structs import replace

from bot.audit import kinds, merkle
from bot.audit.chain import digest
from bot.audit.keys import InstanceKey, VKey
from bot.audit.seal import SealError, check, closing, derive, differences, read
from bot.audit.sheet import Entry
from bot.audit.statement import Envelope, Model, Statement, envelope
from tests.bot.tasks.history import AGENT, COMMIT, POLICY, SHA, History

TASK, INSTANCE, OLD = InstanceKey.generate(), InstanceKey.generate(), InstanceKey.generate()
OWN, OURS = VKey("test/task/42-k7f3qd", TASK.public), VKey("test", INSTANCE.public)


def sealed(history: History, **wrong: object) -> tuple[Entry, ...]:
    """The journal of a history, sealed as control would, or wrongly."""
    data = replace(closing(read(history.lines)), **wrong)
    return read(history.add("seal", data).lines)


def approved() -> History:
    history = History()
    history.add("policy.changed", kinds.PolicyChanged(POLICY.sha256(), POLICY, SHA))
    history.at_change_review().ask("change").approve("change")
    return history


def done() -> History:
    return approved().add("task.closed", kinds.TaskClosed("done", "merged"))


def signed(said: Statement, *keys: tuple[VKey, InstanceKey]) -> Envelope:
    return envelope(said, keys or ((OWN, TASK), (OURS, INSTANCE)))


def test_a_seal_says_how_it_ended_and_what_was_made():
    seal = closing(read(done().lines))
    assert (seal.outcome, seal.commit, seal.source_sha256, seal.redacted) == ("done", COMMIT, SHA, 0)


def test_a_task_that_made_nothing_is_sealed_with_nothing():
    seal = closing(read(History().at_spec_review().add("task.closed", kinds.TaskClosed("cancelled")).lines))
    assert (seal.outcome, seal.commit, seal.source_sha256) == ("cancelled", "", "")


def test_blobs_are_counted_once_and_deleted_ones_beside_them():
    history = History().spec(1).spec(1).plan(1)
    history.add("blob.redacted", kinds.BlobRedacted(f"{1:064x}", "retention"))
    seal = closing(read(history.add("task.closed", kinds.TaskClosed("cancelled")).lines))
    assert (seal.blobs, seal.redacted) == (2, 1)


def test_what_was_merged_instead_of_ours_is_what_the_seal_names():
    history = approved().add("alarm", kinds.Alarm("GW-MERGED-OTHER", "e" * 40))
    seal = closing(read(history.add("task.closed", kinds.TaskClosed("done", "merged")).lines))
    assert (seal.commit, seal.source_sha256) == ("e" * 40, "")


def test_the_statement_can_be_derived_from_the_lines_alone():
    history = done()
    entries = sealed(history)
    said = derive(entries)
    predicate = said.predicate
    journal = b"".join(line + b"\n" for line in history.lines)
    assert {one.name: one.digest.sha256 for one in said.subject} == {
        "journal": hashlib.sha256(journal).hexdigest(), "source": SHA,
    }  # fmt: skip
    assert predicate.root == base64.b64encode(merkle.root(history.lines)).decode()
    assert predicate.head == digest(history.lines[-1])
    assert (predicate.records, predicate.task, predicate.outcome) == (len(history.lines), "42-k7f3qd", "done")
    assert [(one.what, one.actor) for one in predicate.approvals] == [
        ("spec", "github:7"), ("plan", "github:7"), ("change", "github:7"),
    ]  # fmt: skip
    assert (predicate.qa.verdict, predicate.tests.suites, predicate.emergency) == ("passed", 0, False)
    assert (predicate.spec_sha256, predicate.plan_sha256, predicate.policy_sha256) == (SHA, SHA, POLICY.sha256())
    assert (predicate.started_ts, predicate.sealed_ts) == (entries[0].record.ts, entries[-1].record.ts)


def test_an_approval_that_fell_is_not_among_what_people_agreed_to():
    history = approved()
    asked = history.task.asked(next(iter(one.gate for one in history.task.passed if one.gate == "change")))
    history.add("approval.withdrawn", kinds.ApprovalWithdrawn("change", asked.digest, "withdrawn"))
    entries = sealed(history.add("task.closed", kinds.TaskClosed("rejected")))
    assert [one.what for one in derive(entries).predicate.approvals] == ["spec", "plan"]


def test_checks_and_model_calls_are_counted_where_they_count():
    history = History().at_qa().start("qa", round=1)
    attempt = history.task.attempts[-1].number
    for suite, commit, code in (("unit", COMMIT, 0), ("lint", COMMIT, 1), ("unit", "e" * 40, 1)):
        history.add("test.run", kinds.TestRun(attempt, suite, commit, code, 5), AGENT)
    for call in (1, 2):
        history.add("model.call", kinds.ModelCall(attempt, call, "claude", "opus"), AGENT)
    history.add("qa.verdict", kinds.QaVerdict(attempt, 1, COMMIT, SHA, "failed", 2, 1), AGENT).end("qa", commit=COMMIT)
    predicate = derive(sealed(history.add("task.closed", kinds.TaskClosed("cancelled")))).predicate
    assert (predicate.tests.commit, predicate.tests.suites, predicate.tests.failed) == (COMMIT, 2, 1)
    assert [(one.calls, one.model, one.provider) for one in predicate.models] == [(2, "opus", "claude")]
    assert predicate.qa.actor == AGENT.id


def test_a_good_envelope_is_held_to_the_records_and_to_both_keys():
    entries = sealed(done())
    said = check(signed(derive(entries)), entries, OWN, [VKey("test", OLD.public), OURS])
    assert said == derive(entries)


def test_who_did_not_sign_is_named():
    entries = sealed(done())
    said = derive(entries)
    with pytest.raises(SealError, match="the task's key did not sign"):
        check(signed(said, (OURS, INSTANCE)), entries, OWN, [OURS])
    with pytest.raises(SealError, match="no key of the instance"):
        check(signed(said, (OWN, TASK)), entries, OWN, [OURS])
    with pytest.raises(SealError, match="no key of the instance"):
        check(signed(said), entries, OWN, [])


FIELDS = {
    "outcome": "cancelled", "commit": "e" * 40, "approvals": (), "records": 3, "redacted": 9,
    "models": (Model(1, "opus", "claude"),),
    "task": "43-k7f3qd", "emergency": True, "qa": None, "root": base64.b64encode(bytes(32)).decode(),
    "spec_sha256": "e" * 64, "sealed_ts": 1,
}  # fmt: skip


@pytest.mark.parametrize("field", FIELDS)
def test_a_statement_that_says_otherwise_than_the_records_is_refused_by_the_field(field: str):
    entries = sealed(done())
    said = derive(entries)
    other = replace(said, predicate=replace(said.predicate, **{field: FIELDS[field]}))
    assert differences(other, said) == [field]
    with pytest.raises(SealError, match=field):
        check(signed(other), entries, OWN, [OURS])


def test_the_seal_of_another_task_or_of_a_shorter_journal_is_refused():
    entries = sealed(done())
    shorter = sealed(History().add("task.closed", kinds.TaskClosed("done")))
    with pytest.raises(SealError, match="subject"):
        check(signed(derive(shorter)), entries, OWN, [OURS])


@pytest.mark.parametrize(
    "wrong", [{"outcome": "done"}, {"commit": "e" * 40}, {"blobs": 7}, {"redacted": 1}, {"source_sha256": "e" * 64}]
)
def test_a_seal_record_that_does_not_follow_from_the_records_before_it_is_none(wrong: dict):
    history = History().add("task.closed", kinds.TaskClosed("cancelled"))
    with pytest.raises(SealError, match="does not say what the 2 records"):
        derive(sealed(history, **wrong))


def test_only_a_journal_that_ends_with_its_seal_has_a_statement():
    history = done()
    with pytest.raises(SealError, match="no seal"):
        derive(read(history.lines))
    with pytest.raises(SealError, match="no seal"):
        derive(())
    with pytest.raises(SealError, match="no records"):
        closing(())
    with pytest.raises(SealError, match="does not open"):
        closing(read(history.lines[1:2]))
