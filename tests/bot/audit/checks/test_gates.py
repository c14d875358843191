"""Roads through the gates that are honest, and some that only look so."""

from __future__ import annotations

import pytest

from bot.audit import kinds
from bot.audit.folder import Folder
from bot.audit.place import Found
from bot.audit.record import Who
from bot.audit.sheet import Sheet, Verdict
from bot.audit.verify import judge
from bot.model.task import Gate
from tests.bot.audit.story import MIRA, PLAN, SPEC, TASK, Story, sha

BETTER = SPEC + b"- AC-2: and nobody pays twice\n"


@pytest.fixture
def fresh(tmp_path) -> Story:
    story = Story(tmp_path)
    story.opened()
    return story


def judged(story: Story) -> Verdict:
    journal = b"".join(line + b"\n" for line in story.lines)
    return judge(Found(Folder(TASK, {"audit/0000.jsonl": journal} | story.documents), "test", Sheet()))


def say(story: Story, verb: str) -> None:
    story.add("command", kinds.Command(verb, "42:901", story.now, accepted=True), MIRA)


def whats(verdict: Verdict) -> list[str]:
    return [finding.what for finding in verdict.findings]


def test_a_draft_that_was_revised_and_then_approved_is_the_one_that_counts(fresh):
    fresh.spec()
    say(fresh, "revise")
    fresh.spec(BETTER, 2)
    fresh.plan()
    commit = fresh.work("coding", b"x\n")
    fresh.judge(commit, 1)

    assert judged(fresh).findings == ()


def test_an_approval_of_the_draft_before_falls_with_the_new_one(fresh):
    fresh.spec()
    fresh.plan()
    fresh.add("spec.set", kinds.SpecSet(sha(BETTER), 2, 0, "github:40077"), MIRA)
    fresh.documents["spec.md"] = BETTER
    fresh.work("coding", b"x\n")

    assert "work began without an approved spec and plan" in whats(judged(fresh))


def test_an_approval_that_comes_after_the_draft_was_replaced_lets_nothing_pass(fresh):
    fresh.start("spec")
    fresh.add("spec.set", kinds.SpecSet(sha(SPEC), 1, 1))
    fresh.ask(Gate.SPEC, 1, SPEC)
    fresh.add("spec.set", kinds.SpecSet(sha(BETTER), 2, 0, "github:40077"), MIRA)
    fresh.approve(Gate.SPEC)

    assert whats(judged(fresh)) == ["approves a draft that was replaced before"]


def test_revising_takes_the_plan_back(fresh):
    fresh.spec()
    fresh.plan()
    say(fresh, "revise")
    fresh.work("coding", b"x\n")

    assert whats(judged(fresh)) == ["work began without an approved plan"]


def test_work_can_begin_anew_after_a_revise_with_an_open_change(tmp_path):
    story = Story(tmp_path).until_change_review()
    say(story, "revise")
    story.plan(PLAN + b"2. Log it\n", 2)
    commit = story.work("coding", b"def pay(): again\n")
    story.judge(commit, 1)

    assert judged(story).findings == ()


def test_fixing_takes_the_approval_of_the_change_back(tmp_path):
    story = Story(tmp_path).until_change_review()
    story.approve(Gate.CHANGE)
    assert any(held.check == "change" for held in judged(story).held)

    say(story, "fix")

    verdict = judged(story)
    assert verdict.findings == ()
    assert not any(held.check == "change" for held in verdict.held)
    assert any("anybody approved the change" in text for text in verdict.not_proven)


def test_another_profile_is_another_digest(fresh):
    fresh.add("profile.set", kinds.ProfileSet("haiku", "haiku", "haiku", "haiku", "haiku"))
    fresh.spec()

    assert "the digest that people were shown does not bind the spec in force" in whats(judged(fresh))


def test_the_gate_of_the_change_binds_source_and_head(tmp_path):
    story = Story(tmp_path).until_change_review()
    asked = story.requests[Gate.CHANGE]
    story.add(
        "approval.requested",
        kinds.ApprovalRequested("change", asked.digest, 1, source_sha256=asked.source_sha256, head="1" * 40),
    )

    assert "the digest that people were shown does not bind the change in force" in whats(judged(story))


def test_nobody_can_be_asked_about_nothing(fresh):
    fresh.ask(Gate.SPEC, 1, SPEC)
    fresh.add("approval.requested", kinds.ApprovalRequested("release", "1" * 64, 1))
    fresh.add("approval", kinds.Approval("plan", "1" * 64, 1, "42:1", 1, "write", "comment"), MIRA)

    assert whats(judged(fresh)) == [
        "people were asked before there was a draft",
        "asks at a gate that does not exist: 'release'",
        "approves at a gate where nobody was asked: 'plan'",
    ]


def test_a_refused_approval_is_no_approval(fresh):
    fresh.start("spec")
    fresh.add("spec.set", kinds.SpecSet(sha(SPEC), 1, 1))
    fresh.ask(Gate.SPEC, 1, SPEC)
    asked = fresh.requests[Gate.SPEC]
    denied = kinds.Approval("spec", asked.digest, 1, "42:1", 1, "read", "comment")
    fresh.add("approval", denied, Who("github:9", "approver", "human"), outcome="denied")

    assert whats(judged(fresh)) == ["an approval whose outcome is 'denied'"]


def test_plan_json_has_to_say_what_the_plan_says(tmp_path):
    from bot.model.documents import parse_plan, parse_spec, plan_json, render_plan, render_spec
    from bot.model.evidence import Criterion, Plan, PlanStep, Spec

    spec = Spec("Retry", "Failed payments are tried again.", (Criterion("AC-1", "A failed payment is tried again."),))
    step = PlanStep(1, "Wrap the call", "Wrap it.", ("pay.py",), ("AC-1",), "pytest")
    plan = Plan("Retry", "Wrap the call.", (step,))
    story = Story(tmp_path)
    story.opened()
    story.spec(render_spec(spec).encode())
    story.plan(render_plan(plan).encode())
    derived = plan_json(parse_plan(render_plan(plan), parse_spec(render_spec(spec))))

    story.documents["plan.json"] = derived
    assert judged(story).findings == ()
    assert not any("plan.json" in text for text in judged(story).not_proven)

    story.documents["plan.json"] = derived.replace(b"pay.py", b"tax.py")
    assert whats(judged(story)) == ["plan.json does not say what plan.md says"]
