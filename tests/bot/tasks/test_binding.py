from __future__ import annotations

import pytest
from msgspec.structs import replace

from bot.model.gates import Artifact, Scope
from bot.model.state import Gate
from bot.model.task import Profile, Task
from bot.tasks.binding import binding, revision
from tests.bot.tasks.history import History


def digest(task: Task, gate: Gate = Gate.SPEC, instance: str = "test") -> str:
    return binding(task, gate, instance).digest()


def with_origin(whole: Task, /, **changes: object) -> Task:
    return replace(whole, origin=replace(whole.origin, **changes))


@pytest.fixture
def task() -> Task:
    return History().at_change_review().task


def test_a_digest_is_the_same_for_the_same_things(task: Task):
    assert digest(task) == digest(History().at_change_review().task)


@pytest.mark.parametrize(
    "change",
    [
        lambda t: replace(t, spec=replace(t.spec, sha256="f" * 64)),
        lambda t: replace(t, spec=replace(t.spec, rev=2)),
        lambda t: replace(t, profile=Profile(coding="opus")),
        lambda t: replace(t, base_commit="d" * 40),
        lambda t: replace(t, policy_sha256="e" * 64),
        lambda t: replace(t, issue_sha256="e" * 64),
        lambda t: with_origin(t, issue=43),
        lambda t: with_origin(t, task="42-other1"),
        lambda t: with_origin(t, repo=replace(t.origin.repo, id=6)),
        lambda t: with_origin(t, repo=replace(t.origin.repo, host="evil.example")),
    ],
)
def test_whatever_an_approval_binds_changes_the_digest(task: Task, change):
    assert digest(change(task)) != digest(task)


def test_gates_and_instances_have_digests_of_their_own(task: Task):
    assert len({digest(task, gate) for gate in Gate} | {digest(task, instance="other")}) == 5


def test_a_rename_of_the_repository_changes_nothing(task: Task):
    assert digest(with_origin(task, repo=replace(task.origin.repo, path="pay/renamed"))) == digest(task)


def test_the_change_gate_binds_commit_source_and_plan(task: Task):
    at = Gate.CHANGE
    plan = task.plan
    assert isinstance(plan, Artifact)
    changed = [
        replace(task, bound_head="d" * 40), replace(task, source_sha256="d" * 64), replace(task, generation=2),
        replace(task, plan=replace(plan, sha256="d" * 64)),
    ]  # fmt: skip
    assert len({digest(each, at) for each in (task, *changed)}) == 5


def test_spec_and_plan_do_not_bind_a_commit_of_the_work(task: Task):
    assert digest(replace(task, bound_head="d" * 40), Gate.PLAN) == digest(task, Gate.PLAN)


def test_another_commit_with_the_same_files_is_the_same_change(task: Task):
    assert digest(replace(task, head="d" * 40), Gate.CHANGE) == digest(task, Gate.CHANGE)


def test_scope_findings_are_bound_by_their_digest(task: Task):
    found = replace(task, scope=Scope("1" * 64, "2" * 40, "3" * 64, 1, ""), scopes=1)
    other = replace(found, scope=replace(found.scope, sha256="4" * 64))
    assert digest(found, Gate.SCOPE) != digest(other, Gate.SCOPE)
    assert revision(found, Gate.SCOPE) == 1
