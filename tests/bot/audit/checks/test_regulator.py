from __future__ import annotations

import msgspec
import pytest

from bot.audit import kinds
from bot.audit.sheet import Severity
from bot.model.policy import BreakGlass, GateRule, Policy
from bot.model.state import Gate
from tests.bot.audit.checks.kit import alone
from tests.bot.audit.signed import SignedStory
from tests.bot.audit.story import AGENT, JONAS, MIRA, START, TOM

DAY_MS = 86_400_000


def results(verdict):
    return {rule.number: rule.result for rule in verdict.regulator}


def drop(kind, nth=0):
    def change(records):
        del records[[n for n, one in enumerate(records) if one["kind"] == kind][nth]]

    return change


def alter(kind, nth=0, **data):
    def change(records):
        [one for one in records if one["kind"] == kind][nth]["data"].update(data)

    return change


def by_author(records):
    next(one for one in records if one["kind"] == "qa.verdict")["actor"]["role"] = "author"


def by_bot(records):
    one = next(one for one in records if one["kind"] == "approval")
    one["actor"] = {"id": "agent:sonnet", "role": "approver", "type": "agent"}


def test_a_whole_task_answers_all_twelve(sealed):
    verdict = alone(sealed)

    assert [rule.number for rule in verdict.regulator] == list(range(1, 13))
    assert results(verdict) == dict.fromkeys(range(1, 13), "ok") | {10: "not applicable"}
    assert all(rule.why for rule in verdict.regulator)


@pytest.mark.parametrize(
    ("number", "change"),
    [
        (1, drop("ruling")),
        (2, alter("spec.set", spec_sha256="0" * 64)),
        (2, by_bot),
        (4, alter("qa.verdict", 1, source_sha256="0" * 64)),
        (5, alter("test.run", 1, commit="0" * 40)),
        (6, by_author),
        (7, drop("tool.result")),
        (8, alter("model.call", provider="")),
        (9, alter("policy.changed", policy_sha256="0" * 64)),
        (11, alter("seal", outcome="stopped")),
    ],
)
def test_each_fails_where_the_records_say_otherwise(sealed, number, change):
    verdict = alone(sealed, sealed.files(sealed.forge(change)), level=1)

    assert results(verdict)[number] == "failed", verdict.findings


def test_somebody_who_asked_for_it_and_approved_fails_the_third_although_policy_allows_it(tmp_path):
    task = SignedStory(tmp_path)
    task.opened()
    task.draft_spec()
    task.approve(Gate.SPEC, msgspec.structs.replace(TOM, role="approver"))
    task.checkpoints()

    verdict = alone(task, level=1)

    assert verdict.findings == ()
    assert verdict.regulator[2].result == "failed"
    assert "account 40021 approved the spec" in verdict.regulator[2].why


def emergency(tmp_path) -> SignedStory:
    """Tell of a spec that passed because Mira and Jonas broke the glass."""
    task = SignedStory(tmp_path, Policy(spec=GateRule(quorum=3), emergency=BreakGlass(("user:40077", "user:40088"))))
    task.opened()
    task.draft_spec()
    task.break_glass(Gate.SPEC, MIRA, JONAS)
    assert task.rule(Gate.SPEC).passed
    return task


def tenth(task: SignedStory):
    task.checkpoints()
    return alone(task, level=1).regulator[9]


def test_an_emergency_is_reviewed_in_time_by_somebody_else(tmp_path):
    task = emergency(tmp_path)
    task.review(Gate.SPEC, TOM)

    assert tenth(task).result == "ok"
    assert {finding.severity for finding in alone(task, level=1).findings} <= {Severity.INCOMPLETE}  # it is open


def test_a_review_may_still_come_until_it_is_due(tmp_path):
    rule = tenth(emergency(tmp_path))

    assert (rule.result, rule.why) == ("not applicable", "not due yet: the spec gate, by 2026-11-28 22:26:40 UTC")


@pytest.mark.parametrize(
    "by",
    [MIRA, JONAS, AGENT, msgspec.structs.replace(TOM, type="forge"), msgspec.structs.replace(TOM, id="github:0")],
)
def test_a_review_by_who_broke_the_glass_or_is_nobody_fails_the_tenth(tmp_path, by):
    task = emergency(tmp_path)
    task.review(Gate.SPEC, by)
    task.now = START + 8 * DAY_MS
    task.say("status", TOM)

    assert tenth(task).result == "failed"


@pytest.mark.parametrize(("days", "result"), [(6, "ok"), (8, "failed")])
def test_a_review_that_comes_late_fails_the_tenth(tmp_path, days, result):
    task = emergency(tmp_path)
    task.now = START + days * DAY_MS
    task.review(Gate.SPEC, TOM)

    assert tenth(task).result == result


def test_an_emergency_that_nobody_reviewed_fails_the_tenth_when_it_is_due(tmp_path):
    task = emergency(tmp_path)
    task.now = START + 8 * DAY_MS
    task.say("status", TOM)

    rule = tenth(task)
    assert (rule.result, "which was due by 2026-11-28" in rule.why) == ("failed", True)


def test_a_sealed_task_whose_emergency_nobody_reviewed_fails_the_tenth_before_it_is_due(tmp_path):
    task = emergency(tmp_path)
    task.add("task.closed", kinds.TaskClosed("cancelled", "cancelled"))
    task.add("seal", kinds.Seal("cancelled", "", "", 0, 0))

    assert tenth(task).result == "failed"


def test_a_review_of_something_else_fails_the_tenth(tmp_path):
    task = emergency(tmp_path)
    task.review(Gate.SPEC, TOM, digest="e" * 64)
    task.now = START + 8 * DAY_MS
    task.say("status", TOM)

    assert tenth(task).result == "failed"


def test_glass_that_let_nothing_pass_asks_for_no_review(tmp_path):
    task = SignedStory(tmp_path, Policy(emergency=BreakGlass(("user:40077", "user:40088"))))
    task.opened()
    task.draft_spec()
    task.break_glass(Gate.SPEC, MIRA)
    task.vote(Gate.SPEC, JONAS)
    task.rule(Gate.SPEC)

    assert tenth(task).result == "not applicable"


def test_what_never_happened_is_not_applicable(tmp_path):
    task = SignedStory(tmp_path)
    task.opened()
    task.checkpoints()

    found = results(alone(task, level=1))
    assert {found[number] for number in (1, 2, 3, 4, 5, 6, 7, 8, 10, 11, 12)} == {"not applicable"}
