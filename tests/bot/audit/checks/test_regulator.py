from __future__ import annotations

import msgspec
import pytest

from bot.model.state import Gate
from tests.bot.audit.checks.kit import alone
from tests.bot.audit.signed import SignedStory
from tests.bot.audit.story import JONAS, MIRA, TOM


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


def test_an_emergency_that_nobody_reviewed_fails_the_tenth(tmp_path):
    task = SignedStory(tmp_path)
    task.opened()
    task.draft_spec()
    task.break_glass(Gate.SPEC, MIRA, JONAS)
    task.checkpoints()

    assert results(alone(task, level=1))[10] == "failed"


def test_what_never_happened_is_not_applicable(tmp_path):
    task = SignedStory(tmp_path)
    task.opened()
    task.checkpoints()

    found = results(alone(task, level=1))
    assert {found[number] for number in (1, 2, 3, 4, 5, 6, 7, 8, 10, 11, 12)} == {"not applicable"}
