"""What stands around a task is what the last record says."""

from __future__ import annotations

from msgspec.structs import replace

from bot.audit import kinds
from bot.model.policy import GateRule, Policy
from bot.model.state import Gate
from tests.bot.tasks.history import COMMIT, SHA, History

OTHER = "9" * 64


def test_issue_policy_and_base_enter_what_is_approved() -> None:
    history = History().at_spec_review().ask("spec")
    policy = replace(Policy(), spec=GateRule(quorum=2))
    history.add("issue.changed", kinds.IssueChanged(OTHER, 5)).add("base.moved", kinds.BaseMoved("c" * 40))
    history.add("policy.changed", kinds.PolicyChanged(policy.sha256(), policy, SHA, SHA, "f" * 40, 31))
    task = history.task
    assert (task.issue_sha256, task.base_commit, task.policy_sha256) == (OTHER, "c" * 40, policy.sha256())
    assert (task.policy.spec.quorum, task.policy_file, task.cause) == (2, ("f" * 40, 31), "policy_changed")


def test_our_comment_edited_takes_its_votes_and_is_shown_again() -> None:
    history = History().at_spec_review().ask("spec").vote("spec")
    task = history.add("shown.edited", kinds.ShownEdited("spec", 1, "102")).task
    assert (task.votes(Gate.SPEC), task.reask, task.voids[-1].reason) == ((), (Gate.SPEC,), "shown_edited")
    assert history.ask("spec").task.reask == ()


def test_findings_count_anew_where_they_differ() -> None:
    history = History().at_qa().start("qa")
    found = kinds.ScopeFound(4, COMMIT, SHA, OTHER, 2)
    history.add("scope.found", found, findings="f" * 64).add("scope.found", found, findings="f" * 64)
    assert (history.task.scopes, history.task.is_scope_decided) == (1, False)
    history.add("scope.found", replace(found, scope_sha256=SHA, count=0), findings="f" * 64)
    assert (history.task.scopes, history.task.is_scope_decided) == (2, True)


def test_brakes_hold_until_each_is_released() -> None:
    history = History()
    for scope in ("label", "instance", "label"):
        history.add("pause", kinds.Pause(on=True, scope=scope))
    assert sorted(history.task.brakes) == ["instance", "label"]
    history.add("pause", kinds.Pause(on=False, scope="label"))
    assert history.task.is_held
    assert not history.add("pause", kinds.Pause(on=False, scope="instance")).task.is_held


def test_held_work_and_released_commits_are_kept() -> None:
    history = History().at_qa().start("qa").add("work.held", kinds.WorkHeld(4, COMMIT, SHA), bundle="d" * 64)
    history.add("ci.released", kinds.CiReleased(COMMIT, "9:5")).add("alarm", kinds.Alarm("GW-MERGED-OTHER", COMMIT))
    task = history.task
    assert (task.held, task.ci_released, task.alarms) == ("d" * 64, (COMMIT,), ("GW-MERGED-OTHER",))
